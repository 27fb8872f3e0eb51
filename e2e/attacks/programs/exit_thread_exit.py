# id: exit_thread_exit
# title: os._exit from a thread while the main thread sleeps
# group: exit
# expect: error
# exit: 9
# after: result_within_5s
import os, threading, time
threading.Thread(target=lambda: os._exit(9)).start()
time.sleep(60)
