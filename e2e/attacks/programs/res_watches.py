# id: res_watches
# title: all the inotify instances that the host's root may have
# group: resource
# expect: contained
# also_ok: denied
# after: next_run_ok, host_responsive
# notes: instances count for the user that made the user namespace as well (ucounts): if that is root, 128 of one program are all of the host's.
import ctypes, errno, os, platform
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
def sysc(nr, *args):
    """nr = (x86_64, aarch64); returns (result, errno-name or empty)"""
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
n = 0
while n < 1000 and sysc((294, 26), 0)[0] >= 0:
    n += 1
escaped(f"{n} instances") if n else contained("there are none to be had")
