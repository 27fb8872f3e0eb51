# id: kern_prctl
# title: prctl: keep capabilities, secure bits, memory layout, tracer, speculation, back to new privileges
# group: kernel
# expect: contained
# also_ok: denied
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
for name, args, wrong in (("no_new_privs off", (38, 0, 0, 0, 0), 0), ("securebits", (28, 0x2f), 0), ("set_mm", (35, 1, 4096, 0, 0), 0), ("cap ambient raise", (47, 2, 21, 0, 0), 0), ("seccomp off", (22, 0, 0, 0, 0), 0), ("seccomp filter", (22, 2, 0, 0, 0), 0), ("timing tsc", (14, 1), 0)):
    r, e = sysc((157, 167), *args)
    print(name, r, e)
    if r == wrong:
        bad.append(name)
r, e = sysc((157, 167), 39, 0, 0, 0, 0)
if r != 1:
    bad.append(f"no_new_privs is {r}")
escaped(bad) if bad else contained("nothing is gained")
