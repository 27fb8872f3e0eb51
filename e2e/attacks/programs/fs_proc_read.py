# id: fs_proc_read
# title: what /proc tells of the kernel and the host
# group: filesystem
# expect: contained
# also_ok: denied
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
def text(f, n=65536):
    try:
        with open(f, "rb") as h:
            return h.read(n)
    except OSError:
        return b""
for f in ("/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/proc/vmallocinfo", "/proc/keys" if False else "/proc/slabinfo", "/proc/timer_list", "/proc/sched_debug", "/proc/iomem" if False else "/proc/pagetypeinfo"):
    if text(f, 64):
        bad.append(f)
for line in text("/proc/kallsyms").splitlines()[:2000]:
    if line.split()[0].strip(b"0"):
        bad.append("kernel addresses in /proc/kallsyms"); break
for f in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/root/.ssh/id_rsa", "/root/.bash_history", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id", "/var/lib/dbus/machine-id", "/var/log/syslog", "/var/log/dpkg.log"):
    if text(f, 64):
        bad.append(f)
for f in ("/home", "/var/lib", "/var/log", "/mnt", "/media", "/srv", "/boot", "/sys/kernel", "/sys/fs/cgroup"):
    try:
        if os.listdir(f):
            bad.append(f"{f}: {os.listdir(f)[:3]}")
    except OSError:
        pass
import sys
own = os.path.realpath(sys.base_prefix).split("/")
for depth in range(2, len(own)):
    here = "/".join(own[:depth])
    if not here.startswith(("/usr", "/opt", "/lib")) and os.listdir(here) != [own[depth]]:
        bad.append(f"{here} has more than the interpreter: {os.listdir(here)[:3]}")
escaped(bad) if bad else contained("nothing of the host")
