# id: isolation_clock
# title: set the clock, which every run shares
# group: isolation
# expect: denied
import time
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
now = time.time()
for name, f in (("clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, now)),):
    try:
        f(); bad.append(name)
    except OSError as e:
        print(name, e.errno)
buf = ctypes.create_string_buffer(256)
ctypes.c_uint32.from_buffer(buf).value = 0x4000
for name, nr, args in (("adjtimex", (159, 171), (buf,)), ("clock_adjtime", (305, 266), (0, buf)), ("settimeofday", (164, 170), (ctypes.byref((ctypes.c_long * 2)(int(now), 0)), 0)), ("sethostname", (170, 161), (ctypes.c_char_p(b"x"), 1)), ("setdomainname", (171, 162), (ctypes.c_char_p(b"x"), 1))):
    r, e = sysc(nr, *args)
    print(name, r, e)
    if r >= 0:
        bad.append(name)
escaped(bad) if bad else contained("time and names are not for tenants")
