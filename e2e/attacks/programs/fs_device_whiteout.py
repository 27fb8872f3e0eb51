# id: fs_device_whiteout
# title: the device file that anybody may make (0:0), and those that nobody may
# group: filesystem
# expect: contained
# also_ok: denied
# after: artifacts_regular_only, next_run_ok
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import os, stat
bad = []
for place in ("/workspace", "/tmp", "/dev/shm"):
    for kind, major, minor in ((stat.S_IFCHR, 0, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 10, 237), (stat.S_IFBLK, 0, 0), (stat.S_IFBLK, 7, 0)):
        path = f"{place}/node-{kind}-{major}-{minor}"
        try:
            os.mknod(path, kind | 0o666, os.makedev(major, minor))
            bad.append(path)
        except OSError:
            pass
escaped(bad) if bad else contained("no device file")
