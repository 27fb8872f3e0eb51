# id: exit_vfork_child_wins
# title: a child's exit code is not the program's
# group: exit
# expect: error
# exit: 4
import os, sys
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
sys.exit(4)
