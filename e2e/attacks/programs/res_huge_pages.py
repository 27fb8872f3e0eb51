# id: res_huge_pages
# title: memory from the host's reserve of huge pages
# group: resource
# expect: contained
# also_ok: denied
# notes: such pages are charged to no memory group (but hugetlb's own, which nobody sets); a host that keeps some for its database would lose them to the first program that asks.
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
_libc.syscall.argtypes = None
bad = []
for shift in (0, 21, 30):
    r, e = sysc((9, 222), 0, 2 << 20, 3, 0x22 | 0x40000 | shift << 26, -1, 0)
    if e != "EPERM":
        bad.append(f"mmap {shift}: {r} {e}")
    name = ctypes.create_string_buffer(b"huge")
    r, e = sysc((319, 279), ctypes.addressof(name), 4 | shift << 26)
    if e != "EPERM":
        bad.append(f"memfd {shift}: {r} {e}")
try:
    import mmap
    m = mmap.mmap(-1, 4 << 20); m.madvise(14); m[0] = 1
except (OSError, AttributeError):
    pass
escaped(bad) if bad else contained("none of the reserve")
