# id: out_flood_stderr
# title: 256 MiB to stderr in odd pieces
# group: output
# expect: output_truncated
# also_ok: killed_timeout
# must_print: ^FIRST$
# after: host_memory_flat, nats_messages_bounded, next_run_ok
import os
os.write(2, b"FIRST\n")
piece = b"e" * 4099 + b"\n"
for _ in range(256 * 256):
    os.write(2, piece)
