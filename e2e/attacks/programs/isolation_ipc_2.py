# id: isolation_ipc_2
# title: System V and POSIX objects with known names (step 2: look, another tenant)
# group: isolation
# expect: contained
# also_ok: denied
# sequence: isolation_ipc:2
# identity: tenant=B worker=same
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
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for name, nr in (("shmget", (29, 194)), ("semget", (64, 190)), ("msgget", (68, 186))):
    r, e = sysc(nr, 0x5EC2E7, 0, 0)
    if r >= 0:
        bad.append(name)
for name in ("/dev/shm/sem.RESIDUE", "/dev/shm/psm_RESIDUE", "/dev/mqueue/RESIDUE"):
    if os.path.exists(name):
        bad.append(name)
for table in ("shm", "sem", "msg"):
    try:
        rows = open("/proc/sysvipc/" + table).read().splitlines()[1:]
        if rows:
            bad.append(f"{len(rows)} rows in /proc/sysvipc/{table}")
    except OSError:
        pass
escaped(bad) if bad else contained("no object of another run")
