# id: proc_descriptors
# title: descriptors that were left open for the program
# group: process
# expect: contained
import os, stat
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for fd in range(0, 4096):
    try:
        st = os.fstat(fd)
    except OSError:
        continue
    what = os.readlink(f"/proc/self/fd/{fd}")
    print(fd, what)
    kind = stat.S_IFMT(st.st_mode)
    if kind == stat.S_IFSOCK or kind == stat.S_IFDIR or kind == stat.S_IFBLK or what.startswith(("anon_inode", "/memfd")):
        bad.append(f"{fd} {what}")
    if kind == stat.S_IFREG and not what.startswith(os.getcwd()):
        bad.append(f"{fd} {what}")
escaped(bad) if bad else contained("pipes only")
