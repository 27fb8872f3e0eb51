# id: zygote_identity
# title: process, session and start of fresh runs
# group: zygote
# expect: contained
# repeat: 4
# notes: a program has its own session and group, is not process 1, and finds no child and no pending signal of another.
import os, signal, time
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
bad = []
if os.getpid() == 1:
    bad.append("is process 1")
if os.getsid(0) not in (os.getpid(), 0) and os.getpgrp() != os.getpid():
    bad.append(f"session {os.getsid(0)}, group {os.getpgrp()}, process {os.getpid()}")
if signal.sigpending():
    bad.append(f"pending {signal.sigpending()}")
try:
    bad.append(f"a child {os.waitpid(-1, os.WNOHANG)}")
except ChildProcessError:
    pass
if time.process_time() > 5:
    bad.append("CPU time of another")
fields = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
print("minor faults", fields[7], "threads", fields[17])
escaped(bad) if bad else contained("its own")
