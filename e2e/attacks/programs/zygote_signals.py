# id: zygote_signals
# title: signal every process that could be a parent or a sibling, by every call there is
# group: zygote
# expect: contained
# also_ok: denied error
# after: supervisor_alive, next_run_ok, other_runs_alive
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
sent = []
info = ctypes.create_string_buffer(128)
for pid in [p for p in range(1, 200) if p != os.getpid()]:
    for name, f in (("kill", lambda: os.kill(pid, signal.SIGKILL)), ("group", lambda: os.killpg(pid, signal.SIGKILL))):
        try:
            if name == "group" and pid == os.getpgrp():
                continue
            f(); sent.append((name, pid))
        except OSError:
            pass
    for name, nr, args in (("tkill", (200, 130), (pid, 9)), ("tgkill", (234, 131), (pid, pid, 9)), ("sigqueue", (129, 138), (pid, 9, info)), ("tgsigqueue", (297, 240), (pid, pid, 9, info))):
        if sysc(nr, *args)[0] == 0:
            sent.append((name, pid))
print("accepted:", sent[:20])
contained("the others are looked at from outside")
