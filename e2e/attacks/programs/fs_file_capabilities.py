# id: fs_file_capabilities
# title: file capabilities and trusted attributes on an own file
# group: filesystem
# expect: denied
import os, struct
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
open("cap", "wb").write(b"#!/bin/sh\n")
caps = struct.pack("<IIIII", 0x02000001, 0xffffffff, 0, 0xffffffff, 0)
bad = []
for name, value in (("security.capability", caps), ("trusted.overlay.opaque", b"y"), ("system.posix_acl_access", struct.pack("<I", 2) + b"\0" * 8)):
    for path in ("cap", "/usr/bin/python3", "/bin/sh"):
        try:
            os.setxattr(path, name, value); bad.append(f"{name} on {path}")
        except OSError as e:
            print(name, path, e.errno)
escaped(bad) if bad else contained("none can be set")
