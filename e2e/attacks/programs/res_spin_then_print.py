# id: res_spin_then_print
# title: output before, during and after the limit
# group: resource
# expect: killed_timeout
# must_print: ^tick 1$
# must_not_print: ^(ESCAPED: |tick 100000$)
# after: result_within_limit
import signal, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGALRM):
    signal.signal(s, signal.SIG_IGN)
for n in range(100001):
    print("tick", n, flush=True)
    time.sleep(0.02)
