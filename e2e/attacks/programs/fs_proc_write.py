# id: fs_proc_write
# title: switches of the kernel in /proc
# group: filesystem
# expect: denied
# also_ok: contained
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for f, text in (("/proc/sys/kernel/core_pattern", "|/bin/sh"), ("/proc/sysrq-trigger", "h"), ("/proc/sys/kernel/modprobe", "/bin/sh"), ("/proc/sys/vm/overcommit_memory", "1"), ("/proc/sys/kernel/hostname", "x"),
                ("/proc/sys/fs/binfmt_misc/register", ":x:M::MZ::/bin/sh:"), ("/proc/sys/net/ipv4/ip_forward", "1"), ("/proc/sys/kernel/ns_last_pid", "1"), ("/proc/sys/user/max_user_namespaces", "0"), ("/proc/sys/kernel/randomize_va_space", "0"),
                ("/proc/self/loginuid", "0"), ("/proc/self/oom_score_adj", "-1000"), ("/proc/1/oom_score_adj", "1000"), ("/proc/self/setgroups", "allow"), ("/proc/self/attr/current", "x"), ("/proc/self/timerslack_ns", "1"), ("/proc/self/clear_refs", "1")):
    try:
        fd = os.open(f, os.O_WRONLY)
    except OSError:
        continue
    try:
        if f.startswith("/proc/self/timerslack"):
            continue
        os.write(fd, text.encode()); bad.append(f)
    except OSError as e:
        print(f, "opened, write:", e.errno)
    finally:
        os.close(fd)
escaped(bad) if bad else contained("no switch can be moved")
