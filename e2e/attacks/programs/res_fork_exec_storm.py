# id: res_fork_exec_storm
# title: start programs as fast as possible, for two seconds
# group: resource
# expect: ok
# must_print: ^started [1-9]
# after: no_survivors, next_run_ok, host_responsive
import os, time
n, end = 0, time.monotonic() + 2
while time.monotonic() < end:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0); n += 1
print("started", n)
