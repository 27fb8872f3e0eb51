# id: res_pids_uncaught
# title: one process more than there may be, not caught
# group: resource
# expect: killed_pids
# exit: 1
# must_print: BlockingIOError
# after: no_survivors, next_run_ok
import os, time
for _ in range(1000):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
print("ESCAPED: 1,000 processes", flush=True)
