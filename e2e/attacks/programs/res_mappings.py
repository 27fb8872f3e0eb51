# id: res_mappings
# title: address space without end: terabytes reserved, 100,000 mappings
# group: resource
# expect: contained
# also_ok: killed_memory
# after: next_run_ok
import mmap
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
n, held = 0, []
try:
    for n in range(64):
        held.append(mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000))
except (OSError, MemoryError, ValueError) as e:
    print("reserved", n, "TiB", e)
held.clear()
m = 0
try:
    for m in range(100000):
        held.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ if m % 2 else mmap.PROT_WRITE))
except (OSError, MemoryError) as e:
    print("mapped", m, e)
contained(f"{n} TiB reserved, {m} mappings")
