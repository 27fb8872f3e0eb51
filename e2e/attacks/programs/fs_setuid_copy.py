# id: fs_setuid_copy
# title: a set-user-id copy of a shell in the workspace and in tmp
# group: filesystem
# expect: contained
# also_ok: denied
# after: artifacts_no_special_bits, artifacts_regular_only
import os, shutil, subprocess
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for where in (".", "/tmp", "/dev/shm"):
    p = os.path.join(where, "rootsh")
    try:
        shutil.copyfile("/bin/dash" if os.path.exists("/bin/dash") else "/bin/sh", p)
        os.chmod(p, 0o6755)
        out = subprocess.run([p, "-p", "-c", "id -u; id -g"], capture_output=True, text=True).stdout.split()
        print(p, oct(os.stat(p).st_mode), out)
        if "0" in out:
            bad.append(f"{p} ran as {out}")
    except OSError as e:
        print(p, e)
escaped(bad) if bad else contained("the bit changes nothing")
