# id: net_metadata
# title: cloud metadata and private networks
# group: network
# expect: contained
# also_ok: denied
import socket, urllib.request
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for host in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "10.96.0.1", "192.0.2.1", "2001:db8::1"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            s = socket.socket(family, kind); s.settimeout(0.3); s.connect((host, 80)); s.send(b"x"); bad.append(f"{host} {kind}")
        except OSError:
            pass
try:
    bad.append(urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=1).read(100))
except OSError as e:
    print("metadata:", e)
escaped(bad) if bad else contained("no way out")
