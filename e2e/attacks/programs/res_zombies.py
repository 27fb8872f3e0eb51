# id: res_zombies
# title: children that nobody waits for
# group: resource
# expect: contained
# also_ok: killed_pids
# after: no_survivors, next_run_ok
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n = 0
try:
    for n in range(1000):
        if os.fork() == 0:
            os._exit(0)
    escaped("1,000 zombies")
except OSError as e:
    contained(f"stopped after {n}: errno {e.errno}")
