# id: res_timers_signals
# title: timers and queued signals by the hundred thousand
# group: resource
# expect: contained
# also_ok: killed_memory error
# after: next_run_ok
import os, signal
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
n = t = 0
timer = ctypes.c_int()
for t in range(200000):
    r, e = sysc((222, 107), 1, 0, ctypes.byref(timer))
    if r < 0:
        print("timers", t, e); break
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
info = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(info, 8).value = -1
for n in range(200000):
    r, e = sysc((129, 138), os.getpid(), int(signal.SIGRTMIN), info)
    if r < 0:
        print("signals", n, e); break
contained(f"{t} timers, {n} signals waiting")
