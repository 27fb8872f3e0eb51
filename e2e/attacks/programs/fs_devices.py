# id: fs_devices
# title: every device file that can be seen is one of the harmless ones
# group: filesystem
# expect: contained
# also_ok: denied
import os, stat
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
fine = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)}
bad, seen = [], []
for dp, dn, fn in os.walk("/dev"):
    for f in fn:
        p = os.path.join(dp, f)
        try:
            st = os.stat(p)
        except OSError:
            continue
        if stat.S_ISBLK(st.st_mode) or stat.S_ISCHR(st.st_mode):
            dev = (os.major(st.st_rdev), os.minor(st.st_rdev)); seen.append(p)
            if dev in fine or os.major(st.st_rdev) == 136:
                continue
            for flags in (os.O_RDONLY, os.O_WRONLY):
                try:
                    os.close(os.open(p, flags | os.O_NONBLOCK)); bad.append(f"{p} {dev}")
                except OSError:
                    pass
for p in ("/dev/loop-control", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/mem", "/dev/kmsg", "/dev/vsock", "/dev/vhost-vsock", "/dev/uinput", "/dev/mapper/control", "/dev/nbd0", "/dev/dri/card0", "/dev/hwrng", "/dev/cpu/0/msr"):
    if os.path.exists(p):
        bad.append("there is " + p)
escaped(bad) if bad else contained(f"only {sorted(seen)}")
