# id: res_cpu_quota
# title: four busy processes share the CPU of one
# group: resource
# expect: contained
# notes: the sum over the tree is what counts, not what a single process gets.
import os, resource, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
begin = time.monotonic()
kids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pass
        os._exit(0)
    kids.append(pid)
for k in kids:
    os.waitpid(k, 0)
wall = time.monotonic() - begin
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
escaped(f"{cpu:.2f} s of CPU in {wall:.2f} s") if cpu > 1.35 * wall else contained(f"{cpu:.2f} s of CPU in {wall:.2f} s")
