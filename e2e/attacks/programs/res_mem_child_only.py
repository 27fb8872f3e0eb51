# id: res_mem_child_only
# title: a child dies of memory, the program goes on and ends well
# group: resource
# expect: ok
# must_print: ^child 9$
# after: next_run_ok
import os
pid = os.fork()
if pid == 0:
    kept = []
    for _ in range(192):
        kept.append(b"\1" * (16 << 20))
    os._exit(0)
status = os.waitpid(pid, 0)[1]
print("child", status & 127)
if status == 0:
    print("ESCAPED: 3 GiB in a child", flush=True)
