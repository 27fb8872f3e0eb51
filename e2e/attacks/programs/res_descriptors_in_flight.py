# id: res_descriptors_in_flight
# title: descriptors hidden in messages between sockets, past the limit of open files
# group: resource
# expect: contained
# also_ok: error denied
# after: next_run_ok
import array, os, socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.setblocking(False)
n = 0
try:
    while n < 100000:
        r, w = os.pipe()
        a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [r, w] * 100))])
        n += 200
        os.close(r); os.close(w)
except OSError as e:
    print("stopped:", e)
escaped(f"{n} descriptors in flight") if n >= 100000 else contained(f"{n} descriptors in flight")
