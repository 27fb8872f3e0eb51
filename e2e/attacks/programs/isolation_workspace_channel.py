# id: isolation_workspace_channel
# title: a socket in a workspace, over which a run hands its memory to another one
# group: isolation
# expect: contained
# also_ok: denied
# sequence: isolation_workspace_channel:1
# identity: tenant=A workspace=channel
# notes: a socket with a name is found by its file, whatever the network namespace, and carries descriptors: a short run could leave 256 MiB with a long one, and the next, and the next.
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
import os, socket, stat
bad = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    for path in ("/workspace/s", "s", "/workspace/d/s", "/proc/self/cwd/s"):
        os.makedirs("/workspace/d", exist_ok=True)
        with socket.socket(socket.AF_UNIX, kind) as s:
            try:
                s.bind(path)
                bad.append(path)
                os.unlink(path)
            except OSError as e:
                print(path, e.errno)
try:
    os.mknod("/workspace/s", stat.S_IFSOCK | 0o666)
    bad.append("mknod")
except OSError as e:
    print("mknod", e.errno)
with socket.socket(socket.AF_UNIX) as s:
    s.bind("/tmp/s")
    for move in (os.rename, os.link):
        try:
            move("/tmp/s", "/workspace/s")
            bad.append(move.__name__)
        except OSError as e:
            print(move.__name__, e.errno)
for name in os.listdir("/workspace"):
    if stat.S_ISSOCK(os.lstat(os.path.join("/workspace", name)).st_mode):
        bad.append(f"{name} is there")
escaped(bad) if bad else contained("no socket in the workspace")
