# id: res_mem_tmpfs
# title: fill /tmp and /dev/shm, which are memory
# group: resource
# expect: contained
# also_ok: killed_memory
# after: tmp_empty, shm_empty, next_run_ok, host_memory_flat
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n = {}
blk = b"t" * (1 << 20)
for where in ("/tmp", "/dev/shm"):
    n[where] = 0
    try:
        with open(where + "/full", "wb", buffering=0) as f:
            while n[where] < 1024:
                n[where] += f.write(blk) >> 20
    except OSError as e:
        print(where, n[where], e.errno)
escaped(n) if sum(n.values()) >= 1024 else contained(n)
