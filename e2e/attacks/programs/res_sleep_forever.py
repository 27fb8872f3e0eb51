# id: res_sleep_forever
# title: sleep beyond the limit
# group: resource
# expect: killed_timeout
# must_print: ^asleep$
# after: result_within_limit, cgroup_gone, no_survivors
import time
print("asleep", flush=True)
time.sleep(120)
print("ESCAPED: slept for 120 s", flush=True)
