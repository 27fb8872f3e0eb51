# id: isolation_residue_2
# title: look for the marks (step 2: same tenant, fresh run)
# group: isolation
# expect: contained
# sequence: isolation_residue:2
# identity: tenant=A worker=same
import os, socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for top in (".", "/tmp", "/dev", "/var", "/run", os.path.expanduser("~")):
    for dp, dn, fn in os.walk(top):
        bad += [os.path.join(dp, f) for f in fn + dn if "RESIDUE" in f]
try:
    socket.socket(socket.AF_UNIX).connect("\0RESIDUE"); bad.append("the abstract socket lives")
except OSError:
    pass
if any(b"RESIDUE" in open(f"/proc/{p}/cmdline", "rb").read() for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/cmdline")):
    bad.append("the orphan lives")
escaped(bad) if bad else contained("a fresh place")
