# id: net_local_services
# title: services of the host on loopback and on the usual bridges
# group: network
# expect: contained
# also_ok: denied
import socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("172.17.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET)):
    for port in (22, 53, 80, 111, 443, 2375, 2379, 4222, 5432, 6222, 6443, 8080, 8222, 8443, 9090, 10250, 10255):
        try:
            s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(0.3); s.connect((host, port)); bad.append(f"{host}:{port}"); s.close()
        except OSError:
            pass
escaped(f"connected to {bad}") if bad else contained("nobody answers")
