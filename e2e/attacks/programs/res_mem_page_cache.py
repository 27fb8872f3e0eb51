# id: res_mem_page_cache
# title: files in the page cache are no reason to be killed
# group: resource
# expect: ok
# must_print: ^read 314572800$
import os
n = 0
blk = b"p" * (1 << 20)
with open("f", "wb", buffering=0) as f:
    for _ in range(100):
        f.write(blk)
for _ in range(3):
    with open("f", "rb", buffering=0) as f:
        while piece := f.read(1 << 20):
            n += len(piece)
print("read", n)
