# id: fs_lease
# title: leases on own files, which hold up or fail whoever opens them
# group: filesystem
# expect: contained
# also_ok: denied
# identity: tenant=A workspace=leases
# sequence: fs_lease:1
# after: next_run_ok, result_within_10s
# notes: the file API and the collection of files open them too; a lease's holder decides for fs.lease-break-time (45 s) whether that goes on.
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import fcntl, os, signal
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = []
for place in ("/workspace", "/tmp", "/dev/shm"):
    path = os.path.join(place, "leased")
    open(path, "w").write("x")
    for flags, kind in ((os.O_RDONLY, 0), (os.O_WRONLY, 1), (os.O_RDONLY, 1)):
        fd = os.open(path, flags)
        try:
            fcntl.fcntl(fd, 1024, kind)
            held.append((path, kind))
        except OSError as e:
            print(path, kind, e.errno)
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, 1026, 0x3F)
        held.append((place, "notify"))
    except OSError as e:
        print(place, "notify", e.errno)
escaped(held) if held else contained("no lease")
