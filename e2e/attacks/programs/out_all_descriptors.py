# id: out_all_descriptors
# title: write to and read from every descriptor and every /proc/self/fd
# group: output
# expect: error
# exit: 2
# must_print: ^DONE$
import os, sys
for fd in range(0, 1024):
    if fd == 1:
        continue
    for name in (fd, f"/proc/self/fd/{fd}"):
        try:
            h = name if isinstance(name, int) else os.open(name, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(h, False); os.write(h, b"\x07\0\0\0\x01\0\0\0")
        except OSError:
            pass
print("DONE", flush=True)
sys.exit(2)
