# id: proc_visible
# title: other processes in /proc
# group: process
# expect: contained
# also_ok: denied
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
me, bad = os.getpid(), []
for p in sorted(int(x) for x in os.listdir("/proc") if x.isdigit()):
    if p == me:
        continue
    try:
        comm = open(f"/proc/{p}/comm").read().strip()
    except OSError:
        comm = "?"
    print(p, comm)
    if comm.startswith("kiln") or comm in ("postgres", "nats-server", "systemd", "sshd", "bash", "dockerd", "containerd", "kubelet"):
        bad.append(f"{p} {comm}")
hidden = []
for p in range(1, 3000):
    try:
        os.kill(p, 0)
        if p != me:
            hidden.append(p)
    except ProcessLookupError:
        pass
    except PermissionError:
        if p > 1:
            hidden.append(p)
print("answers to signals:", hidden)
if len(hidden) > 3:
    bad.append(f"{len(hidden)} processes can be told")
escaped(bad) if bad else contained("alone")
