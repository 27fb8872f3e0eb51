# id: fs_sparse_huge
# title: sparse files of a petabyte, and what is collected of them
# group: filesystem
# expect: contained
# also_ok: denied error
# after: artifacts_bounded, disk_freed, next_run_ok
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
for size in (1 << 50, 1 << 40, 1 << 33, 40 << 20):
    try:
        with open(f"s{size}", "wb") as f:
            f.truncate(size)
        print(size, os.stat(f"s{size}").st_blocks)
    except OSError as e:
        print(size, e.errno)
contained("sparse files are counted by what may be kept")
