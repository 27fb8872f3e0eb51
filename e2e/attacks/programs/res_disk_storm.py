# id: res_disk_storm
# title: write, flush and remove as fast as possible, for two seconds
# group: resource
# expect: ok
# must_print: ^written [1-9]
# after: disk_freed, next_run_ok, host_responsive
# notes: sync(2) flushes the disks of everybody and must be refused; fsync of an own file is the tenant's own.
import os, time
n, end = 0, time.monotonic() + 2
blk = os.urandom(1 << 16)
while time.monotonic() < end:
    fd = os.open("w", os.O_CREAT | os.O_RDWR)
    os.write(fd, blk); os.fsync(fd); os.close(fd); os.unlink("w"); n += 1
try:
    before = time.monotonic(); os.sync(); print("sync took", time.monotonic() - before)
except OSError as e:
    print(e)
print("written", n)
