# id: kern_rlimits
# title: raise the hard limits, of itself and of process 1
# group: kernel
# expect: denied
# also_ok: contained
import os, resource
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for name in ("RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE"):
    which = getattr(resource, name)
    soft, hard = resource.getrlimit(which)
    print(name, soft, hard)
    if hard == resource.RLIM_INFINITY:
        bad.append(name + " is unlimited"); continue
    try:
        resource.setrlimit(which, (hard + 1, hard + 1)); bad.append("raised " + name)
    except (ValueError, OSError):
        pass
for pid in (1, os.getppid()):
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1)); bad.append(f"limits of process {pid}")
    except (OSError, ValueError) as e:
        print(pid, e)
escaped(bad) if bad else contained("limits only go down")
