# id: out_display_descriptors
# title: descriptors sent along with outputs, to whoever reads them
# group: output
# expect: contained
# also_ok: denied error
# after: next_run_ok, supervisor_alive, host_memory_flat
# notes: the descriptor for outputs is a socket; a reader that takes descriptors would hold what the program opened, past its end.
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import array, os, socket, stat
if not stat.S_ISSOCK(os.fstat(3).st_mode):
    contained("it is no socket")
    raise SystemExit
s = socket.socket(fileno=os.dup(3))
sent = 0
try:
    for _ in range(500):
        held = [os.memfd_create("x") for _ in range(50)]
        for fd in held:
            os.ftruncate(fd, 1 << 40)
        s.sendmsg([b"x\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", held))])
        sent += len(held)
        for fd in held:
            os.close(fd)
except OSError as e:
    print("stopped:", e)
s.setblocking(False)
try:
    data, fds, _, _ = socket.recv_fds(s, 4096, 16)
    (escaped if fds else contained)(f"{sent} sent; there came {data!r} and {len(fds)} descriptors")
except BlockingIOError:
    contained(f"{sent} sent, none came")
