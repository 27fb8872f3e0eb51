# id: out_many_tiny_writes
# title: 300,000 writes of one byte
# group: output
# expect: ok
# must_print: ^x{1000}
# after: nats_messages_bounded, result_within_10s, host_memory_flat
# notes: one message for each write would cost the bus a thousand times the bytes.
import os
for _ in range(300000):
    os.write(1, b"x")
