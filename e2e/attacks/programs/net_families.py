# id: net_families
# title: every other family of sockets
# group: network
# expect: denied
# also_ok: contained
# notes: rarely used families are where privilege escalations come from (AF_PACKET, AF_RDS, AF_TIPC, AF_CAN, AF_VSOCK, AF_XDP, AF_NETLINK).
import socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for family in range(0, 60):
    if family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        continue
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, 4):
        try:
            socket.socket(family, kind, 0).close(); bad.append((family, kind)); break
        except (OSError, ValueError):
            pass
escaped(f"families {bad}") if bad else contained("none but local sockets")
