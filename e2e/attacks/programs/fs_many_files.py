# id: fs_many_files
# title: 20,000 small files
# group: filesystem
# expect: contained
# also_ok: error
# after: host_inodes_restored, next_run_ok, artifacts_bounded
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n = 0
try:
    for n in range(20000):
        os.close(os.open(f"f{n}", os.O_CREAT | os.O_WRONLY))
    escaped("20,000 files, the limit is 10,000")
except OSError as e:
    contained(f"stopped after {n}: errno {e.errno}")
