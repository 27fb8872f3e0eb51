import os, socket, sys, time
secret = "NEIGHBOUR-" + "SECRET"
kept = [secret.encode() * 1000 for _ in range(64)]
for path in ("neighbour.txt", "/tmp/neighbour.txt", "/dev/shm/neighbour.txt"):
    with open(path, "w") as file:
        file.write(secret)
sockets = []
for name in ("\0neighbour", "/tmp/neighbour.sock"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen(4)
    sockets.append(listener)
print("holding", flush=True)
time.sleep(25)
