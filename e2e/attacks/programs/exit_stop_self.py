# id: exit_stop_self
# title: SIGSTOP to itself: a stopped program is still ended by the clock
# group: exit
# expect: killed_timeout
# must_print: ^STOPPING$
# after: no_survivors, cgroup_gone, result_within_limit
import os, signal
print("STOPPING", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
print("ESCAPED: went on after SIGSTOP", flush=True)
