# id: kern_terminal_input
# title: type into a terminal (TIOCSTI) and other controls of devices
# group: kernel
# expect: denied
# also_ok: contained
import fcntl, os, termios
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for fd in (0, 1, 2):
    for name, request, arg in (("TIOCSTI", 0x5412, b"x"), ("TIOCLINUX", 0x541C, b"\x02"), ("TIOCSCTTY", 0x540E, 1), ("TIOCCONS", 0x541D, 0), ("TIOCSETD", 0x5423, b"\0\0\0\0"), ("SIOCGIFCONF", 0x8912, b"\0" * 16)):
        try:
            fcntl.ioctl(fd, request, arg); bad.append(f"{name} on {fd}")
        except OSError:
            pass
for path in ("/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ptmx", "/dev/pts/0", "/dev/pts/ptmx", "/dev/vcs"):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)); bad.append("opened " + path)
    except OSError:
        pass
escaped(bad) if bad else contained("no terminal within reach")
