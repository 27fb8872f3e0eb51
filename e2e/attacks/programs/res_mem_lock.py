# id: res_mem_lock
# title: lock memory so that it can never be reclaimed
# group: resource
# expect: denied
# also_ok: contained killed_memory
import mmap
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
m = mmap.mmap(-1, 64 << 20)
bad = []
for name, nr, args in (("mlock", (149, 228), (ctypes.addressof(ctypes.c_char.from_buffer(m)), 64 << 20)), ("mlock2", (325, 284), (ctypes.addressof(ctypes.c_char.from_buffer(m)), 64 << 20, 1)), ("mlockall", (151, 230), (3,))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if r == 0:
        bad.append(name)
escaped(bad) if bad else contained("no 64 MiB are locked")
