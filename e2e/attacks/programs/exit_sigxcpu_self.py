# id: exit_sigxcpu_self
# title: SIGXCPU from itself is no CPU limit
# group: exit
# expect: error
# exit: signal:SIGXCPU
import os, signal
os.kill(os.getpid(), signal.SIGXCPU)
