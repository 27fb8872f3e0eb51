# id: poison_workspace_3
# title: the planted hooks and another tenant (step 3)
# group: poison
# expect: contained
# must_not_print: ^(ESCAPED: |POISON-)
# sequence: poison_workspace:3
# identity: tenant=B user=b1
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
found = []
for top in (os.getcwd(), os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm"):
    for dp, dn, fn in os.walk(top):
        found += [os.path.join(dp, f) for f in fn if "POISON-" in open(os.path.join(dp, f), errors="replace").read(4096) and f != "main.py"]
escaped(found) if found else contained("nothing of another tenant")
