# id: fs_no_permissions
# title: take every permission from what is left, so that it is hard to collect and to remove
# group: filesystem
# expect: ok
# after: workspace_removed_within_10s, next_run_ok, result_within_5s
import os
os.makedirs("a/b/c")
for p in ("f", "a/f", "a/b/f", "a/b/c/f"):
    open(p, "w").write("x"); os.chmod(p, 0)
for p in ("a/b/c", "a/b", "a", "."):
    os.chmod(p, 0)
