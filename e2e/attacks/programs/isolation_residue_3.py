# id: isolation_residue_3
# title: look for the marks (step 3: another tenant)
# group: isolation
# expect: contained
# sequence: isolation_residue:3
# identity: tenant=B worker=same
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
escaped(bad) if bad else contained("a fresh place")
