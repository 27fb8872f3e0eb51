# id: fs_deleted_open
# title: fill the disk by files that are deleted and still open
# group: filesystem
# expect: contained
# also_ok: error killed_memory
# after: disk_freed, workspace_removed_within_10s, next_run_ok
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n, fds = 0, []
blk = b"\x5a" * (1 << 20)
try:
    while n < 512:
        fd = os.open(f"x{n}", os.O_CREAT | os.O_RDWR); fds.append(fd); os.unlink(f"x{n}")
        for _ in range(16):
            os.write(fd, blk); n += 1
    escaped(f"{n} MiB on a disk of 128")
except OSError as e:
    contained(f"stopped after {n} MiB: errno {e.errno}")
