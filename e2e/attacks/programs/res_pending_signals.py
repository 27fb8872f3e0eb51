# id: res_pending_signals
# title: all the pending signals that the host's root may have
# group: resource
# expect: contained
# also_ok: denied error
# after: next_run_ok
# notes: a timer or a queued signal counts for every maker of the namespaces around it (UCOUNT_RLIMIT_SIGPENDING); when root is one of them, root's own timers fail.
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
import resource, signal
timer, timers = ctypes.c_int(), 0
while timers < 5000 and sysc((222, 107), 1, 0, ctypes.byref(timer))[0] == 0:
    timers += 1
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
info = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(info, 8).value = -1
queued = 0
while queued < 5000 and sysc((129, 138), os.getpid(), int(signal.SIGRTMIN), info)[0] == 0:
    queued += 1
hard = resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]
bad = timers + queued > 1024 or not 0 < hard <= 1024
(escaped if bad else contained)(f"{timers} timers, {queued} signals, the limit is {hard}")
