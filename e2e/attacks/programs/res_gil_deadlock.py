# id: res_gil_deadlock
# title: the interpreter's lock is never given back
# group: resource
# expect: killed_timeout
# must_print: ^holding$
# after: no_survivors, next_run_ok
import ctypes
print("holding", flush=True)
ctypes.PyDLL(None).sleep(100)
print("ESCAPED: slept with the lock", flush=True)
