# id: out_cut_character
# title: a character of four bytes across the limit
# group: output
# expect: output_truncated
# must_print: ^start
import sys
sys.stdout.write("start")
for _ in range(64):
    sys.stdout.write("\U0001f40d" * 8192)
