# id: kern_io_uring
# title: io_uring and the old asynchronous calls, which go past a filter
# group: kernel
# expect: denied
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
params = ctypes.create_string_buffer(256)
for name, nr, args in (("io_uring_setup", (425, 425), (8, params)), ("io_uring_enter", (426, 426), (0, 0, 0, 0, 0, 0)), ("io_uring_register", (427, 427), (0, 0, 0, 0)), ("io_setup", (206, 0), (8, ctypes.byref(ctypes.c_ulong())))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if e not in ("EPERM", "ENOSYS"):
        bad.append(f"{name}: {r} {e}")
escaped(bad) if bad else contained("refused by policy")
