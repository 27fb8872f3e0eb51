# id: kern_setuid_programs
# title: set-user-id programs of the system give nothing
# group: kernel
# expect: contained
# also_ok: denied
import os, stat, subprocess
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad, n = [], 0
for top in ("/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/local/bin", "/usr/lib"):
    for dp, dn, fn in os.walk(top):
        if dp.count("/") > 3:
            dn[:] = []
        for f in fn:
            p = os.path.join(dp, f)
            try:
                st = os.lstat(p)
            except OSError:
                continue
            if stat.S_ISREG(st.st_mode) and st.st_mode & 0o6000:
                n += 1
                if not os.statvfs(p).f_flag & os.ST_NOSUID:
                    bad.append(f"{p} {oct(st.st_mode)}")
for command in (["su", "-c", "id -u"], ["sudo", "-n", "id", "-u"], ["newgrp"], ["pkexec", "id", "-u"], ["mount", "-t", "tmpfs", "none", "/tmp"], ["passwd", "-d", "root"], ["chsh", "-s", "/bin/sh"]):
    try:
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=0.5)
        if out.returncode == 0 and out.stdout.strip() in ("0", ""):
            bad.append(" ".join(command) + " " + out.stdout)
    except (OSError, subprocess.TimeoutExpired):
        pass
print(n, "set-user-id files can be seen")
escaped(bad) if bad else contained("none of them gives another id")
