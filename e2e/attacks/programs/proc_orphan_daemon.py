# id: proc_orphan_daemon
# title: a daemon by the book: two forks, own session, closed descriptors, all signals ignored
# group: process
# expect: ok
# must_print: ^MAIN DONE$
# after: no_survivors, cgroup_gone, result_within_5s, workspace_removed_within_10s
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in signal.valid_signals():
            try:
                signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        os.chdir("/")
        os.closerange(0, 256)
        time.sleep(90)
    os._exit(0)
os.wait()
print("MAIN DONE", flush=True)
