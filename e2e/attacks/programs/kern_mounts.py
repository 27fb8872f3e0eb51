# id: kern_mounts
# title: mount, bind, pivot_root and chroot, by the old calls and the new
# group: kernel
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
os.makedirs("m", exist_ok=True)
c = ctypes.c_char_p
bad = []
for name, nr, args in (("tmpfs", (165, 40), (c(b"none"), c(b"m"), c(b"tmpfs"), 0, 0)), ("proc", (165, 40), (c(b"none"), c(b"m"), c(b"proc"), 0, 0)), ("bind", (165, 40), (c(b"/"), c(b"m"), 0, 4096, 0)), ("remount", (165, 40), (0, c(b"/"), 0, 32 | 4096, 0)),
                       ("cgroup2", (165, 40), (c(b"none"), c(b"m"), c(b"cgroup2"), 0, 0)), ("overlay", (165, 40), (c(b"none"), c(b"m"), c(b"overlay"), 0, c(b"lowerdir=/usr,upperdir=m,workdir=m"))), ("umount", (166, 39), (c(b"/proc"), 2)),
                       ("pivot_root", (155, 41), (c(b"m"), c(b"m"))), ("chroot", (161, 51), (c(b"m"),)), ("fsopen", (430, 430), (c(b"tmpfs"), 0)), ("open_tree", (428, 428), (-100, c(b"/"), 1)), ("open_tree_attr", (467, 467), (-100, c(b"/"), 1, 0, 0)), ("mount_setattr", (442, 442), (-100, c(b"/"), 0x8000, 0, 0))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if r >= 0:
        bad.append(name)
escaped(bad) if bad else contained("no mount can be made or changed")
