# id: out_silent_pipe_held
# title: a child that keeps the pipes and writes after the end
# group: output
# expect: ok
# must_print: ^MAIN DONE$
# must_not_print: ^(ESCAPED: |LATE)
# after: no_survivors, cgroup_gone, result_within_5s
import os, time
for _ in range(10):
    if os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(0.5)
            os.write(1, b"LATE\n")
print("MAIN DONE", flush=True)
