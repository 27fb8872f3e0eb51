# id: poison_workspace_2
# title: the planted hooks and the next start (step 2: same tenant, same workspace)
# group: poison
# expect: contained
# must_not_print: ^(ESCAPED: |POISON-)
# sequence: poison_workspace:2
# identity: tenant=A user=a1 workspace=W
# notes: nothing that lies in a workspace takes part in the start of an interpreter; what the program imports by itself is its own affair.
import os, sys
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = [n for n in ("sitecustomize", "usercustomize", "runner", "bootstrap", "numpy", "pandas", "_distutils_hack", "IPython", "matplotlib") if n in sys.modules and os.getcwd() in (getattr(sys.modules[n], "__file__", "") or "")]
if not os.path.exists("sitecustomize.py"):
    print("note: the workspace did not come along")
if sys.prefix.startswith(os.getcwd()) or sys.base_prefix.startswith(os.getcwd()):
    bad.append("prefix " + sys.prefix)
for p in os.environ.get("PATH", "").split(":"):
    if not p or p.startswith((".", os.getcwd(), "/tmp")):
        bad.append("PATH has " + repr(p))
r, w = os.pipe()
os.waitpid(os.posix_spawnp("sh", ["sh", "-c", "echo shell"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, w, 1)]), 0)
out = os.read(r, 4096)
if out != b"shell\n":
    bad.append(f"the shell said {out!r}")
escaped(bad) if bad else contained("a clean start in a poisoned place")
