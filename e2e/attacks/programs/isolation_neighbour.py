# id: isolation_neighbour
# title: find the secret that another tenant's run holds at this moment
# group: isolation
# expect: contained
# also_ok: denied
# needs: neighbour
# notes: the neighbour holds it in memory, in its environment and arguments, in files of every writable place, and listens on an abstract and a file socket.
import os, socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
want = b"NEIGHBOUR-" + b"SECRET"
bad = []
for p in [x for x in os.listdir("/proc") if x.isdigit() and int(x) != os.getpid()]:
    bad.append(f"sees process {p}") if os.path.exists(f"/proc/{p}/cmdline") and open(f"/proc/{p}/cmdline", "rb").read().find(want) >= 0 else None
    for f in ("environ", "maps", "mem"):
        try:
            with open(f"/proc/{p}/{f}", "rb") as h:
                if want in h.read(4096):
                    bad.append(f"/proc/{p}/{f}")
        except OSError:
            pass
for top in (".", "/tmp", "/dev/shm", "/var/tmp", "/run", "/workspace"):
    for dp, dn, fn in os.walk(top):
        for f in fn:
            try:
                with open(os.path.join(dp, f), "rb") as h:
                    text = h.read(1 << 20)
                if want in text or f.startswith("neighbour"):
                    bad.append(os.path.join(dp, f))
            except OSError:
                pass
for name in ("\0neighbour", "/tmp/neighbour.sock"):
    try:
        s = socket.socket(socket.AF_UNIX); s.settimeout(1); s.connect(name); bad.append("connected to " + repr(name))
    except OSError:
        pass
try:
    if "neighbour" in open("/proc/net/unix").read():
        bad.append("its socket is in /proc/net/unix")
except OSError:
    pass
escaped([b for b in bad if b]) if any(bad) else contained("no trace of the neighbour")
