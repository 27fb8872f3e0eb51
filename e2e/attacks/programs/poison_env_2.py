# id: poison_env_2
# title: process-wide state of a fresh run (step 2: look, another tenant)
# group: poison
# expect: contained
# sequence: poison_env:2
# identity: tenant=B worker=same
import os, resource, signal, sys
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
for name in ("LD_PRELOAD", "PYTHONSTARTUP", "PYTHONPATH", "ATTACK_MARK", "HTTP_PROXY", "TZ", "LC_ALL"):
    if name in os.environ:
        bad.append(f"{name}={os.environ[name]}")
mask = os.umask(0o22)
if mask not in (0o22, 0o77):
    bad.append(f"umask {mask:o}")
if os.getcwd() == "/":
    bad.append("working directory /")
if os.getpriority(os.PRIO_PROCESS, 0) > 0:
    bad.append("niceness")
if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 64:
    bad.append("descriptors")
if signal.pthread_sigmask(signal.SIG_BLOCK, []):
    bad.append("blocked signals")
for s in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
    if signal.getsignal(s) is not signal.SIG_DFL:
        bad.append(f"{s} {signal.getsignal(s)}")
if sys.getrecursionlimit() < 500:
    bad.append("recursion limit")
escaped(bad) if bad else contained("a fresh process")
