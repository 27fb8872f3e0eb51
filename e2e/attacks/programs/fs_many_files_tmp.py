# id: fs_many_files_tmp
# title: a million empty files in /tmp and /dev/shm (inodes are kernel memory)
# group: filesystem
# expect: contained
# also_ok: killed_memory error
# after: tmp_empty, shm_empty, next_run_ok
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
total = 0
for where in ("/tmp", "/dev/shm"):
    try:
        for n in range(500000):
            os.close(os.open(f"{where}/f{n}", os.O_CREAT | os.O_WRONLY)); total += 1
    except OSError as e:
        print(where, total, e.errno)
escaped(f"{total} files") if total >= 500000 else contained(f"{total} files")
