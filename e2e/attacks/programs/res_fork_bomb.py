# id: res_fork_bomb
# title: a fork bomb that nothing catches
# group: resource
# expect: killed_pids
# also_ok: killed_timeout error contained
# after: no_survivors, cgroup_gone, next_run_ok, host_responsive, other_runs_alive
# notes: bounded by its own clock and by generations where nothing contains it.
import os, time
end = time.time() + 3
generation = 0
while time.time() < end and generation < 10:
    try:
        os.fork()
    except OSError:
        if generation == 0:
            raise
        time.sleep(0.01)
    generation += 1
time.sleep(max(0, end - time.time()))
raise SystemExit(1)
