# id: fs_artifact_names
# title: a thousand files with names of thousands of control characters
# group: filesystem
# expect: ok
# after: result_within_10s, artifacts_bounded, artifacts_listed_safely, next_run_ok, supervisor_alive
# notes: the list goes in one message with the end of the run; if it does not fit, the run never ends and its slot is lost.
import os
part = "\x01" * 250
for _ in range(14):
    os.mkdir(part)
    os.chdir(part)
for number in range(1000):
    open("\x02" * 200 + str(number), "w").close()
print("made", flush=True)
