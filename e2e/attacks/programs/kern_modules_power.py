# id: kern_modules_power
# title: modules, kexec, reboot, swap, accounting, quotas, port input and output
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
c = ctypes.c_char_p
bad = []
for name, nr, args in (("init_module", (175, 105), (0, 0, c(b""))), ("finit_module", (313, 273), (0, c(b""), 0)), ("delete_module", (176, 106), (c(b"none"), 0)), ("kexec_load", (246, 104), (0, 0, 0, 0)), ("kexec_file_load", (320, 294), (0, 0, 0, 0, 0)),
                       ("reboot", (169, 142), (0xfee1dead, 672274793, 0, 0)), ("swapon", (167, 224), (c(b"x"), 0)), ("swapoff", (168, 225), (c(b"x"),)), ("acct", (163, 89), (0,)), ("quotactl", (179, 60), (0x800002, 0, 0, 0)), ("iopl", (172, None), (3,)), ("ioperm", (173, None), (0x80, 1, 1)),
                       ("syslog", (103, 116), (3, 0, 0)), ("vhangup", (153, 58), ()), ("lookup_dcookie", (212, 18), (0, 0, 0)), ("modify_ldt", (154, None), (1, 0, 0)), ("nfsservctl", (180, 42), (0, 0, 0))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if e not in ("EPERM", "ENOSYS"):
        bad.append(f"{name}: {r} {e}")
escaped(bad) if bad else contained("refused by policy")
