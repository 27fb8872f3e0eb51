# id: proc_subreaper
# title: a subreaper that collects orphans and holds them
# group: process
# expect: ok
# must_print: ^MAIN DONE$
# after: no_survivors, cgroup_gone
import ctypes, os, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
for _ in range(5):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(90)
        os._exit(0)
for _ in range(5):
    os.wait()
print("MAIN DONE", flush=True)
