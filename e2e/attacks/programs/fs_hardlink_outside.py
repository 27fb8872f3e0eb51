# id: fs_hardlink_outside
# title: hard links to files of the system into the workspace
# group: filesystem
# expect: denied
# also_ok: contained
# after: artifacts_have_no_host_content
import os, sys
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for f in ("/etc/passwd", "/etc/shadow", "/usr/bin/su", "/bin/mount", sys.executable, "/etc/hosts"):
    for name in ("linked", "/tmp/linked"):
        try:
            os.link(f, name); bad.append(f"{f} -> {name}"); os.unlink(name)
        except OSError:
            pass
escaped(bad) if bad else contained("no link across the border")
