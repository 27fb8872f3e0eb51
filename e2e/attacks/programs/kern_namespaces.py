# id: kern_namespaces
# title: new namespaces by unshare, clone, clone3 and the system's own tools
# group: kernel
# expect: denied
import os, subprocess
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
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000), ("net", 0x40000000), ("ipc", 0x08000000), ("uts", 0x04000000), ("cgroup", 0x02000000), ("time", 0x80)):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if sysc((272, 97), flag)[0] == 0 else 1)
    if os.waitpid(pid, 0)[1] == 0:
        bad.append("unshare " + name)
    if flag > 0x1000:
        r, e = sysc((56, 220), flag | 17, 0, 0, 0, 0)
        if r == 0:
            os._exit(0)
        if r > 0:
            os.waitpid(r, 0); bad.append("clone " + name)
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
r, e = sysc((435, 435), ctypes.byref(args), 88)
if r == 0:
    os._exit(0)
if r > 0:
    bad.append("clone3 user")
print("clone3", r, e)
for command in (["unshare", "-Ur", "id", "-u"], ["unshare", "-n", "true"], ["nsenter", "-t", "1", "-m", "true"], ["chroot", "/", "true"]):
    try:
        if subprocess.run(command, capture_output=True).returncode == 0:
            bad.append(" ".join(command))
    except OSError:
        pass
escaped(bad) if bad else contained("no namespace can be made")
