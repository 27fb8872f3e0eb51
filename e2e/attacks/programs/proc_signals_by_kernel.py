# id: proc_signals_by_kernel
# title: have the kernel send signals to process 1: by owners of descriptors, timers, leases, parents
# group: process
# expect: contained
# also_ok: denied
# after: supervisor_alive, next_run_ok
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
import fcntl, signal, socket, struct, time
for owner in (1, -1, 2 ** 31 - 1):
    a, b = socket.socketpair()
    for fd in (a.fileno(), 0, 1, 2):
        for command, value in ((fcntl.F_SETOWN, owner), (10, 9), (fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)):
            try:
                fcntl.fcntl(fd, command, value)
            except OSError as e:
                print("fcntl", fd, command, e.errno)
    try:
        fcntl.fcntl(a.fileno(), 15, struct.pack("ii", 0, 1))
    except OSError as e:
        print("owner_ex", e.errno)
    b.send(b"x")
    b.close()
event = struct.pack("QiiiiQQQQQ", 0, 9, 4, 1, 0, 0, 0, 0, 0, 0)
timer = ctypes.c_int()
r, e = sysc((222, 107), 1, ctypes.c_char_p(event), ctypes.byref(timer))
print("timer to thread 1:", r, e)
info = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(info, 8).value = -1
bad = ["timer"] if r == 0 else []
for name, nr, args in (("sigqueue", (129, 138), (1, 9, info)), ("tgsigqueue", (297, 240), (1, 1, 9, info)), ("tgkill", (234, 131), (1, 1, 9)), ("tkill", (200, 130), (1, 9))):
    r, e = sysc(nr, *args)
    if r == 0:
        bad.append(name)
r, e = sysc((434, 434), 1, 0)
if r >= 0:
    r, e = sysc((424, 424), r, 9, 0, 0)
    if r == 0:
        bad.append("pidfd")
time.sleep(0.2)
escaped(bad) if bad else contained("process 1 is not reached")
