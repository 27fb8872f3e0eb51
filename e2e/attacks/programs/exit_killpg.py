# id: exit_killpg
# title: SIGKILL to its own process group
# group: exit
# expect: error
# exit: signal:SIGKILL
# after: supervisor_alive, no_survivors
import os, signal
if os.fork() == 0:
    import time
    time.sleep(60)
os.killpg(0, signal.SIGKILL)
