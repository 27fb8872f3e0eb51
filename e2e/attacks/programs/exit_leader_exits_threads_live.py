# id: exit_leader_exits_threads_live
# title: the main thread leaves by pthread_exit, a thread spins on
# group: exit
# expect: killed_timeout
# also_ok: error
# must_print: ^LEADER GONE$
# after: no_survivors, result_within_limit
# notes: the thread group's leader is a zombie while its threads run: a supervisor that looks at the state alone sees an end that is none.
import ctypes, threading, time
def spin():
    time.sleep(0.2)
    print("LEADER GONE", flush=True)
    while True:
        time.sleep(0.5)
threading.Thread(target=spin).start()
ctypes.CDLL(None).syscall(60 if __import__("platform").machine() == "x86_64" else 93, 0)
