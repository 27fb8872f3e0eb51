# id: kern_bpf_perf
# title: bpf programs and maps, performance events
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
attr = ctypes.create_string_buffer(128)
for cmd in range(0, 37):
    r, e = sysc((321, 280), cmd, attr, 128)
    if e not in ("EPERM", "ENOSYS"):
        bad.append(f"bpf {cmd}: {r} {e}")
for kind in (0, 1, 2, 4, 5):
    a = ctypes.create_string_buffer(128); ctypes.c_uint32.from_buffer(a).value = kind; ctypes.c_uint32.from_buffer(a, 4).value = 112
    r, e = sysc((298, 241), a, 0, -1, -1, 0)
    if e not in ("EPERM", "ENOSYS", "EACCES"):
        bad.append(f"perf_event_open {kind}: {r} {e}")
escaped(bad) if bad else contained("refused by policy")
