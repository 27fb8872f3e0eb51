# id: proc_secrets_in_environment
# title: secrets of the service in the environment, arguments and memory of what can be seen
# group: process
# expect: contained
# also_ok: denied
import os, re
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
pattern = re.compile("(?i)kiln_|nats|postgres|database|token|secret|passw|api_?key|credential|aws_|kubernetes|_proxy")
for name, value in os.environ.items():
    if pattern.search(name) or "://" in value:
        if name not in ("KILN_DISPLAY_FD",):
            bad.append(f"{name}={value[:40]}")
for p in [x for x in os.listdir("/proc") if x.isdigit() and int(x) != os.getpid()]:
    for f in ("environ", "cmdline", "comm", "stack", "wchan", "io"):
        try:
            text = open(f"/proc/{p}/{f}", "rb").read()
            if text and f in ("environ", "stack"):
                bad.append(f"/proc/{p}/{f}")
        except OSError:
            pass
print(sorted(os.environ))
escaped(bad) if bad else contained("no secret")
