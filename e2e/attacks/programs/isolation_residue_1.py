# id: isolation_residue_1
# title: leave marks in every place that can be written (step 1: leave)
# group: isolation
# expect: ok
# must_print: ^LEFT [1-9]
# sequence: isolation_residue:1
# identity: tenant=A worker=same
import os, socket
n = 0
for where in (".", "/tmp", "/dev/shm", "/var/tmp", "/run", "/dev", "/dev/mqueue", os.path.expanduser("~")):
    for name in ("RESIDUE", ".hidden-RESIDUE", "deep/RESIDUE"):
        p = os.path.join(where, name)
        try:
            os.makedirs(os.path.dirname(p), exist_ok=True)
            open(p, "w").write("RESIDUE"); n += 1
        except OSError:
            pass
s = socket.socket(socket.AF_UNIX); s.bind("\0RESIDUE"); s.listen(1)
if os.fork() == 0:
    os.setsid()
    import time; time.sleep(30); os._exit(0)
print("LEFT", n)
