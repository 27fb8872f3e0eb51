# id: fs_immutable
# title: make files immutable or append-only by ioctl
# group: filesystem
# expect: denied
# also_ok: contained
# after: workspace_removed_within_10s
import array, fcntl, os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
open("f", "w").write("x")
bad = []
for flags in (0x10, 0x20, 0x08):
    fd = os.open("f", os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 0x40086602, array.array("l", [flags])); bad.append(hex(flags))
    except OSError as e:
        print(hex(flags), e.errno)
    os.close(fd)
for request in (0x8004587D, 0xC0185879, 0x40049409, 0xC0045877, 0x40086610, 0x5412, 0x4C00):
    fd = os.open(".", os.O_RDONLY)
    try:
        fcntl.ioctl(fd, request, array.array("L", [0] * 8)); bad.append("ioctl " + hex(request))
    except OSError as e:
        print(hex(request), e.errno)
    os.close(fd)
escaped(bad) if bad else contained("no control of the file system")
