# id: out_display_forged
# title: forged, broken and endless documents on every descriptor beside the three
# group: output
# expect: error
# exit: 4
# after: next_run_ok, host_memory_flat, artifacts_bounded
# notes: whatever a descriptor for rich output takes, it is the program's own word and never the verdict.
import json, os, sys
good = json.dumps({"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>", "image/png": "bm90IGEgcG5n"}, "metadata": {}}).encode()
for fd in range(3, 64):
    try:
        os.fstat(fd)
    except OSError:
        continue
    for text in (good, b"{", b"null", b"[" * 100000, b'{"output_type":"error","ename":"x"}', b'{"status":"succeeded","exit_code":0}', b"\xff\xfe\0", good * 3, b"{" + b'"a":{' * 2000):
        try:
            os.write(fd, text + b"\n")
        except OSError:
            break
    try:
        for _ in range(200):
            os.write(fd, b"y" * 65536)
    except OSError:
        pass
print("written", flush=True)
sys.exit(4)
