# id: out_display_parts
# title: outputs of millions of small parts, each of which costs its reader many times its length
# group: output
# expect: ok
# also_ok: killed_timeout
# after: host_memory_flat, host_responsive, next_run_ok
import os
def write(text):
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(3, rest[:65536]):]
for filler in (b"0,", b"[],", b"{},", b'"a",', b'[[[0]]],'):
    body = filler * ((7 << 20) // len(filler))
    write(b'{"output_type":"display_data","metadata":{},"data":{"x":[' + body + b'0]}}\n')
body = b",".join(b'"%d":0' % n for n in range(500000))
write(b'{"output_type":"display_data","metadata":{},"data":{' + body + b'}}\n')
print("written", flush=True)
