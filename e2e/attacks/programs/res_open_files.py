# id: res_open_files
# title: open 10,000 files
# group: resource
# expect: contained
import os
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
fds = []
try:
    while len(fds) < 10000:
        fds.append(os.open("/dev/null", os.O_RDONLY))
    escaped("10,000 open files")
except OSError as e:
    n = len(fds)
    for fd in fds:
        os.close(fd)
    contained(f"stopped after {n}: errno {e.errno}")
