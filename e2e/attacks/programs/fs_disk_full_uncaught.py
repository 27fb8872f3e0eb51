# id: fs_disk_full_uncaught
# title: a full disk that the program does not expect
# group: filesystem
# expect: error
# exit: 1
# must_print: OSError: \[Errno
# after: disk_freed, next_run_ok
with open("big", "wb", buffering=0) as f:
    for n in range(512):
        f.write(b"x" * (1 << 20))
print("ESCAPED: 512 MiB on a disk of 128", flush=True)
