# id: exit_atexit_hang
# title: an exit handler that never returns
# group: exit
# expect: killed_timeout
# must_print: ^MAIN DONE$
# after: result_within_limit, no_survivors
import atexit, time
def hang():
    while True:
        time.sleep(1)
atexit.register(hang)
print("MAIN DONE", flush=True)
