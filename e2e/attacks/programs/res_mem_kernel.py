# id: res_mem_kernel
# title: memory of the kernel: pipes, sockets with full buffers, eventfds, inotify
# group: resource
# expect: contained
# also_ok: killed_memory error
# after: next_run_ok, host_memory_flat
import fcntl, os, socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
held, n = [], 0
try:
    while len(held) < 4000:
        r, w = os.pipe()
        held += [r, w]
        try:
            fcntl.fcntl(w, 1031, 1 << 20)
        except OSError:
            pass
        os.set_blocking(w, False)
        try:
            while True:
                n += os.write(w, b"k" * 65536)
        except OSError:
            pass
except OSError as e:
    print("pipes:", len(held), n >> 20, "MiB", e.errno)
for fd in held:
    os.close(fd)
pairs = []
try:
    while len(pairs) < 4000:
        a, b = socket.socketpair()
        pairs += [a, b]
        a.setblocking(False)
        try:
            while True:
                n += a.send(b"s" * 65536)
        except OSError:
            pass
except OSError as e:
    print("sockets:", len(pairs), n >> 20, "MiB", e.errno)
escaped(f"{n >> 20} MiB in the kernel") if n > 1 << 30 else contained(f"{n >> 20} MiB, {len(held)} and {len(pairs)} descriptors")
