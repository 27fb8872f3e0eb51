# id: kern_prctl_unlisted
# title: every prctl operation by number: only those on the list may be answered
# group: kernel
# expect: contained
# notes: seccomp() is refused, so filters by prctl must be too; names of mappings and hash tables cost memory that no group counts, core scheduling idles the neighbours' processors.
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
LISTED = {1, 2, 3, 4, 7, 8, 15, 16, 21, 23, 25, 27, 29, 30, 36, 37, 38, 39, 40, 41, 42, 51, 52}
bad = [n for n in range(0, 120) if n not in LISTED and sysc((157, 167), n, 0, 0, 0, 0)[1] != "EPERM"]
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow)))
for name, args in (("a filter", (22, 2, ctypes.addressof(program), 0, 0)), ("a name for a mapping", (0x53564D41, 0, 0, 4096, 0)), ("a core's cookie", (62, 1, 0, 0, 0))):
    r, e = sysc((157, 167), *args)
    if e != "EPERM":
        bad.append(f"{name}: {r} {e}")
escaped(bad) if bad else contained("no other operation is made")
