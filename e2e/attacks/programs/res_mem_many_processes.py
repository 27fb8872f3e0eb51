# id: res_mem_many_processes
# title: memory in many processes, none of which is large
# group: resource
# expect: killed_memory
# also_ok: contained
# after: next_run_ok, no_survivors
import os, sys, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
kids = []
for _ in range(12):
    pid = os.fork()
    if pid == 0:
        b = bytearray(64 << 20)
        b[::4096] = b"x" * len(b[::4096])
        time.sleep(1.5)
        os._exit(0 if b[4096] else 1)
    kids.append(pid)
killed = sum(os.waitpid(k, 0)[1] != 0 for k in kids)
if not killed:
    escaped("768 MiB in 12 processes"); sys.exit(0)
sys.exit(1)
