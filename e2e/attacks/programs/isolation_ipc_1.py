# id: isolation_ipc_1
# title: System V and POSIX objects with known names (step 1: make)
# group: isolation
# expect: ok
# also_ok: contained denied
# sequence: isolation_ipc:1
# identity: tenant=A worker=same
# after: host_sysvipc_unchanged
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
print("shmget", sysc((29, 194), 0x5EC2E7, 4096, 0o1666))
print("semget", sysc((64, 190), 0x5EC2E7, 1, 0o1666))
print("msgget", sysc((68, 186), 0x5EC2E7, 0o1666))
for name in ("/dev/shm/sem.RESIDUE", "/dev/shm/psm_RESIDUE", "/dev/mqueue/RESIDUE"):
    try:
        open(name, "w").write("x"); print("made", name)
    except OSError as e:
        print(name, e.errno)
