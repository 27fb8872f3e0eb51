# id: kern_status
# title: what the kernel says of the process: no capability, no new privileges, filtered
# group: kernel
# expect: contained
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
status = {k: v.strip() for k, v in status.items()}
bad = []
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    if int(status[name], 16):
        bad.append(f"{name} {status[name]}")
if status.get("NoNewPrivs") != "1":
    bad.append("new privileges are possible")
if status.get("Seccomp") != "2":
    bad.append("no filter")
for line in open("/proc/self/uid_map").read().splitlines():
    inside, outside, count = map(int, line.split())
    if outside < 1000 or count > 65536:
        bad.append(f"id {inside} is {outside} on the host")
if 0 in os.getresuid() + os.getresgid() or set(os.getgroups()) - {os.getgid()}:
    bad.append(f"ids {os.getresuid()} {os.getresgid()} {os.getgroups()}")
escaped(bad) if bad else contained("nothing to give up")
