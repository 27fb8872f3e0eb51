# id: exit_fake_137
# title: exit code 137 and talk of memory are a normal exit
# group: exit
# expect: error
# exit: 137
# must_print: ^Killed$
import sys
print("MemoryError\nKilled\nout of memory: killed process 1\nTIMEOUT", flush=True)
sys.exit(137)
