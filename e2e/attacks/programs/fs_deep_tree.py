# id: fs_deep_tree
# title: directories nested 3000 deep, beyond every path length
# group: filesystem
# expect: contained
# also_ok: ok
# after: result_within_limit, next_run_ok, workspace_removed_within_10s, artifacts_listed_safely
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
depth = 0
try:
    for _ in range(3000):
        os.mkdir("d" * 50); os.chdir("d" * 50); depth += 1
    open("bottom", "w").write("x")
except OSError as e:
    print("stopped:", e)
contained(f"{depth} deep")
