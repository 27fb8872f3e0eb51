# id: proc_last_of_memory
# title: be the last that the kernel would end for memory, and let process 1 be the first
# group: process
# expect: killed_memory
# also_ok: contained
# after: cgroup_gone, no_survivors, next_run_ok, result_within_10s
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import os, time
for score in ("-1000", "-500", "0", "1", "499"):
    try:
        open("/proc/self/oom_score_adj", "w").write(score)
        escaped(f"the score is {score}")
    except OSError as e:
        print(score, e.errno)
for _ in range(40):
    if os.fork() == 0:
        held = bytearray(12 << 20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(30)
        os._exit(0)
held = []
while len(held) < 400:
    held.append(b"x" * (1 << 20))
escaped("400 MiB and forty children")
