# id: res_file_locks
# title: ten thousand locks on one file
# group: resource
# expect: contained
# also_ok: killed_memory killed_timeout error
# after: next_run_ok, host_memory_flat, host_responsive
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import fcntl, struct
f = open("locked", "w+b")
n = 0
try:
    while n < 10_000:
        fcntl.fcntl(f, 37, struct.pack("hhqqixxxx", fcntl.F_WRLCK, 0, 2 * n, 1, 0))
        n += 1
except OSError as e:
    print("stopped:", e)
contained(f"{n} locks")
