# id: fs_root_shape
# title: the root, its parents and its mounts are the sandbox's own
# group: filesystem
# expect: contained
# also_ok: denied
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
flags = {}
for line in open("/proc/self/mountinfo"):
    before, after = line.split(" - ")
    point, options = before.split()[4], before.split()[5].split(",")
    flags[point] = options
    if "rw" in options and not point.startswith((os.getcwd(), "/tmp", "/dev/shm", "/dev/", "/proc", "/workspace")):
        bad.append(f"{point} is writable")
    if after.split()[0] == "proc":
        continue
    if point in (os.getcwd(), "/tmp", "/dev/shm"):
        for want in ("nosuid", "nodev"):
            if want not in options:
                bad.append(f"{point} lacks {want}")
for p in ("/..", "/../..", "/proc/self/root/..", "/proc/self/cwd/../../../.."):
    a, b = os.stat(p), os.stat("/")
    if (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino):
        bad.append(p + " is another root")
print(sorted(flags))
escaped(bad) if bad else contained(f"{len(flags)} mounts")
