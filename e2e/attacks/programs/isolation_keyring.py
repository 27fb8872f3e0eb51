# id: isolation_keyring
# title: keys in the kernel, which outlive a run
# group: isolation
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
for name, nr, args in (("add_key", (248, 217), (ctypes.c_char_p(b"user"), ctypes.c_char_p(b"attack"), ctypes.c_char_p(b"x"), 1, -4)), ("request_key", (249, 218), (ctypes.c_char_p(b"user"), ctypes.c_char_p(b"attack"), 0, -4)),
                       ("keyctl session", (250, 219), (1, 0, 0, 0, 0)), ("keyctl persistent", (250, 219), (22, -1, -4, 0, 0))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if r >= 0:
        bad.append(name)
escaped(bad) if bad else contained("no key ring")
