# id: fs_artifact_race
# title: swap a directory for a link to /etc while the run ends
# group: filesystem
# expect: contained
# after: artifacts_have_no_host_content, artifacts_regular_only, no_survivors
# notes: collecting while a tenant's process lives is a race that the tenant wins at some time; every process must be dead before.
import os, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
os.mkdir("d"); open("d/passwd", "w").write("mine"); open("d/shadow", "w").write("mine")
if os.fork() == 0:
    os.setsid()
    end = time.time() + 30
    while time.time() < end:
        try:
            os.rename("d", "e"); os.symlink("/etc", "d")
            os.unlink("d"); os.rename("e", "d")
        except OSError:
            pass
    os._exit(0)
time.sleep(0.3)
contained("the swapping goes on while the run ends")
