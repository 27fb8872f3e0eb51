# id: fs_artifact_links
# title: links, pipes, sockets and devices left as artifacts
# group: filesystem
# expect: contained
# also_ok: denied
# must_print: ^CONTAINED: .* planted$
# after: artifacts_regular_only, artifacts_have_no_host_content, artifacts_listed_safely, artifacts_bounded
# notes: whoever collects files must follow nothing: a link read by a privileged collector gives the host's file.
import os, socket
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n = 0
for name, target in (("passwd", "/etc/passwd"), ("shadow", "/etc/shadow"), ("environ", "/proc/1/environ"), ("self", "/proc/self/environ"), ("rel", "../../../../etc/shadow"),
                     ("root", "/"), ("etc", "/etc"), ("loop", "loop"), ("kcore", "/proc/kcore"), ("zero", "/dev/zero"), ("tmp", "/tmp")):
    os.symlink(target, name); n += 1
os.mkfifo("pipe"); n += 1
s = socket.socket(socket.AF_UNIX); s.bind("sock"); n += 1
os.mkdir("d"); os.symlink("/etc", "d/etc"); n += 1
open("real.txt", "w").write("real")
os.link("real.txt", "hard.txt"); n += 1
contained(f"{n} planted")
