# id: kern_priorities
# title: real-time scheduling, negative niceness, real-time input and output
# group: kernel
# expect: denied
# also_ok: contained
import os
import ctypes, errno, os, platform
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
def sysc(nr, *args):
    """nr = (x86_64, aarch64); returns (result, errno-name or '')"""
    n = nr[1] if platform.machine() in ("aarch64", "arm64") else nr[0]
    if n is None:
        return -1, "ENOSYS"
    conv = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ctypes.set_errno(0)
    r = _libc.syscall(ctypes.c_long(n), *conv)
    e = ctypes.get_errno() if r == -1 else 0
    return r, errno.errorcode.get(e, str(e)) if e else ""
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for name, f in (("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))), ("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))), ("nice -5", lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)), ("pid 1", lambda: os.setpriority(os.PRIO_PROCESS, 1, 19))):
    try:
        f(); bad.append(name)
    except OSError as e:
        print(name, e.errno)
r, e = sysc((251, 30), 1, 0, (1 << 13) | 0)
print("ioprio_set", r, e)
if r == 0:
    bad.append("real-time input and output")
attr = (ctypes.c_uint64 * 7)(48 | (6 << 32), 0, 0, 10_000_000, 20_000_000, 20_000_000)
r, e = sysc((314, 274), 0, attr, 0)
print("deadline", r, e)
if r == 0:
    bad.append("deadline scheduling")
escaped(bad) if bad else contained("everybody waits in the same line")
