# id: exit_sigkill_self
# title: a SIGKILL to itself is a signal, not the memory limit
# group: exit
# expect: error
# exit: signal:SIGKILL
# must_print: ^BEFORE$
# notes: a verdict of out of memory must come from the kernel's counter, never from the signal.
import os, signal
print("BEFORE", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
