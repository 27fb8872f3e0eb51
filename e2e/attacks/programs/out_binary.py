# id: out_binary
# title: every byte, broken UTF-8, NUL, lone surrogates
# group: output
# expect: ok
# must_print: ^END$
import os
os.write(1, bytes(range(256)) * 40 + b"\xed\xa0\x80\xff\xfe\xf0\x9f\x90\n\0\0\0\n")
os.write(2, b"\xc3" * 1000 + b"\n")
os.write(1, b"END\n")
