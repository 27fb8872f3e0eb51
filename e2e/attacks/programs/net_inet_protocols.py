# id: net_inet_protocols
# title: protocols beside TCP and UDP
# group: network
# expect: denied
# also_ok: contained
import socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for family in (socket.AF_INET, socket.AF_INET6):
    for kind, protocol in ((socket.SOCK_STREAM, 132), (socket.SOCK_SEQPACKET, 132), (socket.SOCK_STREAM, 262), (socket.SOCK_DGRAM, 136), (socket.SOCK_DCCP if hasattr(socket, "SOCK_DCCP") else 6, 33), (socket.SOCK_RAW, 1), (socket.SOCK_RAW, 58), (socket.SOCK_DGRAM, 1)):
        try:
            socket.socket(family, kind, protocol).close(); bad.append((int(family), int(kind), protocol))
        except (OSError, ValueError):
            pass
escaped(bad) if bad else contained("refused")
