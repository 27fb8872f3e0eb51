# id: kern_socket_filters
# title: packet filters on local sockets, by the thousand
# group: kernel
# expect: contained
# also_ok: denied
# after: next_run_ok
# notes: translated programs share one store for the whole host (net.core.bpf_jit_limit); one tenant that fills it stops every sandbox from installing its filters.
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF) * 400)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 400, ctypes.addressof(code)))
made = []
for option in (26, 50, 51, 52):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as s:
            if libc.setsockopt(s.fileno(), socket.SOL_SOCKET, option, ctypes.byref(program), 16) == 0:
                made.append(option)
            elif ctypes.get_errno() != 1:
                made.append(f"{option}: errno {ctypes.get_errno()}")
escaped(f"filters: {made}") if made else contained("no filter is attached")
