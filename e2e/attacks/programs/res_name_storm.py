# id: res_name_storm
# title: look for a million names that are not there (dentries are kernel memory)
# group: resource
# expect: contained
# also_ok: killed_memory killed_timeout
# after: next_run_ok, host_memory_flat
import os, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n, end = 0, time.monotonic() + 3
while n < 1000000 and time.monotonic() < end:
    os.path.exists(f"/workspace/{n}/x"); os.path.exists(f"/tmp/name-{n}"); n += 2
contained(f"{n} names")
