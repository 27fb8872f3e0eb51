# id: out_stdin_is_at_its_end
# title: a program that waits for input that nobody gives
# group: output
# expect: ok
# must_print: ^read ''$
# after: result_within_5s
import sys
print("read", repr(sys.stdin.read()))
