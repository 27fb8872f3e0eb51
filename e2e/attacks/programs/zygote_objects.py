# id: zygote_objects
# title: objects of whoever made the interpreter: sockets, files, secrets, frames above the program
# group: zygote
# expect: contained
# also_ok: denied
import gc, io, os, re, socket, sys, threading
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for o in gc.get_objects():
    try:
        if isinstance(o, socket.socket):
            bad.append(f"a socket {o!r}")
        elif isinstance(o, io.FileIO) and not o.closed and o.fileno() > 2:
            bad.append(f"an open file {o.name!r}")
    except (ReferenceError, ValueError, OSError):
        pass
secret = re.compile(r"^(nats|postgres(ql)?)://.*@|^eyJ[\w-]{20,}\.|^kiln_[0-9A-Za-z]{24,}")
for o in gc.get_objects():
    if isinstance(o, dict):
        try:
            for v in list(o.values()):
                if isinstance(v, str) and secret.match(v):
                    bad.append(v[:12])
        except (RuntimeError, ReferenceError):
            pass
frame, above = sys._getframe(), []
while frame.f_back:
    frame = frame.f_back; above.append(frame.f_code.co_filename)
if above:
    bad.append(f"frames above the program: {above}")
if threading.active_count() != 1:
    bad.append(f"{threading.active_count()} threads")
escaped(bad[:10]) if bad else contained("a plain interpreter")
