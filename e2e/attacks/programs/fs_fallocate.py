# id: fs_fallocate
# title: reserve 4 GiB of disk at once
# group: filesystem
# expect: contained
# also_ok: denied error
# after: disk_freed, next_run_ok
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
got = 0
for n in range(4):
    fd = os.open(f"big{n}", os.O_CREAT | os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, 1 << 30); got += 1
    except OSError as e:
        print(n, e.errno)
escaped(f"{got} GiB of disk") if got else contained("refused")
