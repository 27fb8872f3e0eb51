# id: out_alternating
# title: alternate between the streams at every line
# group: output
# expect: ok
# must_print: ^o 29999$
# after: nats_messages_bounded, host_memory_flat
import os
for n in range(30000):
    os.write(1, b"o %d\n" % n); os.write(2, b"e %d\n" % n)
