# id: zygote_files
# title: the control files and sockets of a warm interpreter
# group: zygote
# expect: contained
# also_ok: denied
import os, socket, stat
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for dp, dn, fn in os.walk("/"):
    if dp.startswith(("/proc", "/usr", "/sys")):
        dn[:] = []; continue
    if dp.count("/") > 5:
        dn[:] = []
    for f in fn:
        p = os.path.join(dp, f)
        try:
            st = os.lstat(p)
        except OSError:
            continue
        if stat.S_ISSOCK(st.st_mode) or stat.S_ISFIFO(st.st_mode):
            bad.append(p)
for name in ("\0kiln", "\0zygote", "\0spawner", "\0runner", "/run/kiln.sock", "/tmp/zygote.sock"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            s = socket.socket(socket.AF_UNIX, kind); s.settimeout(0.2); s.connect(name); bad.append(repr(name))
        except OSError:
            pass
escaped(bad) if bad else contained("no control socket or pipe")
