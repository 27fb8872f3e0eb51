# id: res_attributes
# title: extended attributes and access lists as a store beside the files
# group: resource
# expect: contained
# also_ok: killed_memory killed_timeout error
# after: next_run_ok, host_memory_flat, disk_freed
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import os
total = 0
for place in ("/tmp", "/dev/shm", "/workspace"):
    written = 0
    try:
        for file in range(9000):
            path = f"{place}/a{file}"
            open(path, "w").close()
            for number in range(64):
                os.setxattr(path, f"user.x{number}", b"v" * 60000)
                written += 60000
    except OSError as e:
        print(place, written >> 20, "MiB", e.errno)
    total += written
(escaped if total > 1 << 30 else contained)(f"{total >> 20} MiB of attributes")
