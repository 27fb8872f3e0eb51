# id: kern_foreign_numbers
# title: call numbers past the table, negative, of the x32 range
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
import signal
for n in [462, 463, 464, 465, 466, 467, 468, 469, 470, 471, 480, 500, 511, 512, 520, 547, 548, 1000, 0x7fffffff, -1, -2, 0x40000000, 0x40000000 | 57, 0x40000000 | 101, 0x40000000 | 165, 0x40000000 | 272, 0x40000000 | 520, 0x40000000 | 521, 0x40000000 | 545]:
    pid = os.fork()
    if pid == 0:
        r, e = sysc((n, n), 0, 0, 0, 0, 0, 0)
        os._exit(0 if e in ("ENOSYS", "EPERM") else 1)
    st = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(st) and os.WEXITSTATUS(st) == 1:
        bad.append(n)
escaped(f"reachable: {bad}") if bad else contained("nothing but the known numbers")
