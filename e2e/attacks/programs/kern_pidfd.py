# id: kern_pidfd
# title: take hold of process 1 by a pidfd, signal it, copy its descriptors
# group: kernel
# expect: contained
# also_ok: denied
# after: supervisor_alive, next_run_ok
import os, signal
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
for pid in {1, os.getppid()} - {0}:
    try:
        fd = os.pidfd_open(pid)
    except OSError as e:
        print(pid, e); continue
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL); print("signal accepted by", pid)
    except OSError as e:
        print("signal", e.errno)
    for n in range(0, 16):
        r, e = sysc((438, 438), fd, n, 0)
        if r >= 0:
            bad.append(f"descriptor {n} of {pid}")
    r, e = sysc((440, 440), fd, 0, 0, 4, 0)
    if e not in ("EPERM", "ENOSYS"):
        bad.append(f"process_madvise {r} {e}")
    r, e = sysc((448, 448), fd, 0)
    if e not in ("EPERM", "ENOSYS", "EINVAL"):
        bad.append(f"process_mrelease {r} {e}")
escaped(bad) if bad else contained("process 1 lets nobody in")
