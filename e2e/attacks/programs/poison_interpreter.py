# id: poison_interpreter
# title: change the interpreter and its libraries for the next run
# group: poison
# expect: denied
# also_ok: contained
import os, site, sys, sysconfig
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
places = {os.path.dirname(os.__file__), sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), "/usr/lib/python3", "/usr/local/bin", "/usr/local/lib", *site.getsitepackages(), *sysconfig.get_paths().values()}
for place in places:
    for name in ("sitecustomize.py", "attack.pth", "__pycache__/os.cpython-313.pyc", "os.py", "json/__init__.py"):
        p = os.path.join(place, name)
        try:
            fd = os.open(p, os.O_WRONLY | os.O_CREAT | os.O_APPEND); os.close(fd); bad.append(p)
        except OSError:
            pass
    for other in ("os.py", "site.py", "bin/python3"):
        p = os.path.join(place, other)
        for op in (lambda: os.rename(p, p + ".old"), lambda: os.unlink(p), lambda: os.chmod(p, 0o777), lambda: os.symlink("/tmp/x", p + ".link")):
            try:
                op(); bad.append(p)
            except OSError:
                pass
escaped(bad[:10]) if bad else contained("read-only")
