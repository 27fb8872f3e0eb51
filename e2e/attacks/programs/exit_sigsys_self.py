# id: exit_sigsys_self
# title: SIGSYS from itself ends the run as a signal
# group: exit
# expect: error
# also_ok: denied
# exit: signal:SIGSYS
import os, signal
os.kill(os.getpid(), signal.SIGSYS)
