# id: res_threads
# title: 2,000 threads
# group: resource
# expect: contained
# also_ok: killed_pids killed_memory
# after: no_survivors, next_run_ok
import threading, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
done = threading.Event()
n = 0
try:
    for n in range(2000):
        threading.Thread(target=done.wait, daemon=True).start()
    escaped("2,000 threads")
except (RuntimeError, MemoryError) as e:
    contained(f"stopped after {n}: {e}")
done.set()
