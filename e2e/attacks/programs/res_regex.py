# id: res_regex
# title: a pattern that takes for ever, inside one call of C
# group: resource
# expect: killed_timeout
# after: no_survivors, next_run_ok
import re
re.match(r"(a+)+$", "a" * 64 + "!")
print("ESCAPED: the pattern came to an end", flush=True)
