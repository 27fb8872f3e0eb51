# id: res_one_file
# title: one file of 2 GiB, and what the kernel does about it
# group: resource
# expect: contained
# also_ok: error
# after: disk_freed, no_core_file
import os, signal
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
n, blk = 0, b"f" * (1 << 20)
fd = os.open("one", os.O_CREAT | os.O_WRONLY)
try:
    while n < 2048:
        n += os.write(fd, blk) >> 20
    escaped("2 GiB in one file")
except OSError as e:
    contained(f"stopped after {n} MiB: errno {e.errno}")
