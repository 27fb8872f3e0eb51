# id: fs_proc_host
# title: what /proc tells of the host's start and of what its other tenants do
# group: filesystem
# expect: contained
# also_ok: denied
# notes: the kernel's command line may hold secrets; interrupts, disks and file systems tell what the neighbours do, and when.
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import os
bad = []
for path in ("/proc/cmdline", "/proc/diskstats", "/proc/interrupts", "/proc/partitions", "/proc/fs", "/proc/bus", "/proc/irq", "/proc/kcore", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/slabinfo"):
    try:
        found = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64)
        if found:
            bad.append(f"{path}: {found[:64]}")
    except OSError:
        pass
for path in ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/self/status", "/proc/self/maps", "/proc/loadavg", "/proc/uptime"):
    open(path).read()
escaped(bad) if bad else contained("nothing of the host")
