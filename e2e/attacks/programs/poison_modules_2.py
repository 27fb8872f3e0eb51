# id: poison_modules_2
# title: modules and builtins of a fresh run (step 2: look, another tenant)
# group: poison
# expect: contained
# sequence: poison_modules:2
# identity: tenant=B worker=same
import builtins, json, os, sys
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
if hasattr(builtins, "print_poison") or hasattr(os, "POISON") or "poison_module" in sys.modules or "/tmp/poison" in sys.path:
    bad.append("a changed interpreter")
if json.dumps({"a": 1}) != '{"a": 1}':
    bad.append("a changed json")
if abs(sys.getswitchinterval() - 0.005) > 0.001:
    bad.append("a changed switch interval")
escaped(bad) if bad else contained("a fresh interpreter")
