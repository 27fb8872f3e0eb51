# id: proc_vanish_threads
# title: end by exec from a thread while others run
# group: process
# expect: error
# exit: 8
# after: result_within_5s, no_survivors
import os, threading, time
for _ in range(10):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
threading.Thread(target=lambda: os.execv("/bin/sh", ["sh", "-c", "exit 8"])).start()
time.sleep(60)
