# id: proc_fork_chain
# title: a chain of forks that is never in one place when somebody looks
# group: process
# expect: ok
# must_print: ^MAIN DONE$
# after: no_survivors, cgroup_gone, next_run_ok
# notes: each process forks the next and exits at once: killing by a list of processes always comes too late.
import os, time
if os.fork() == 0:
    os.setsid()
    end = time.time() + 20
    while time.time() < end:
        try:
            if os.fork():
                os._exit(0)
        except OSError:
            pass
    os._exit(0)
time.sleep(0.3)
print("MAIN DONE", flush=True)
