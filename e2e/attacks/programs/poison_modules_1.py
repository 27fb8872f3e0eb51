# id: poison_modules_1
# title: change modules and builtins in the running interpreter (step 1: change)
# group: poison
# expect: ok
# sequence: poison_modules:1
# identity: tenant=A worker=same
import builtins, json, os, sys
builtins.print_poison = True
json.dumps = lambda *a, **k: "POISON"
os.POISON = True
sys.modules["poison_module"] = sys
sys.setswitchinterval(0.5)
sys.path.insert(0, "/tmp/poison")
sys.meta_path.insert(0, type("Finder", (), {"find_spec": staticmethod(lambda *a: None)}))
print("changed")
