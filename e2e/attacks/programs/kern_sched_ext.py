# id: kern_sched_ext
# title: scheduling policies and clamps that reach beyond one's own share
# group: kernel
# expect: contained
# also_ok: denied
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
import struct
bad = []
for policy, name in ((1, "FIFO"), (2, "RR"), (6, "DEADLINE")):
    attributes = struct.pack("IIQiIQQQII", 56, policy, 0, 0, 1 if policy in (1, 2) else 0, 10**7, 10**8, 10**8, 0, 0)
    r, e = sysc((314, 274), 0, ctypes.c_char_p(attributes), 0)
    if r == 0:
        bad.append(name)
r, e = sysc((251, 30), 1, 0, 1 << 13 | 0)
if r == 0:
    bad.append("real-time disk priority")
escaped(bad) if bad else contained("only what gives way")
