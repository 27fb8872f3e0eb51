# id: kern_compat_32bit
# title: 32-bit calls by int 0x80 and a 32-bit program, for which a filter of 64-bit numbers is blind
# group: kernel
# expect: denied
# also_ok: contained
import ctypes, mmap, os, platform
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
def compat(number):
    """Runs int 0x80 with a 32-bit number in a child; the child's wait status."""
    pid = os.fork()
    if pid == 0:
        code = b"\x53\xb8" + number.to_bytes(4, "little") + b"\x31\xdb\x31\xc9\x31\xd2\xcd\x80\x5b\xc3"
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        r = f()
        os._exit(0 if r in (-1, -38) else 1)
    return os.waitpid(pid, 0)[1]
if platform.machine() != "x86_64":
    contained("no 32-bit calls on this machine")
else:
    bad = []
    for name, number in (("getpid", 20), ("getuid", 24), ("ptrace", 26), ("mount", 21), ("unshare", 310), ("socketcall", 102)):
        st = compat(number)
        print(name, st)
        if os.WIFEXITED(st) and os.WEXITSTATUS(st) == 1:
            bad.append(name)
    elf = b"\x7fELF\x01\x01\x01" + b"\0" * 9 + (2).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little") + (0x8048054).to_bytes(4, "little") + (52).to_bytes(4, "little") + b"\0" * 8 + (52).to_bytes(2, "little") + (32).to_bytes(2, "little") + (1).to_bytes(2, "little") + b"\0" * 6
    code = b"\xb8\x04\0\0\0\xbb\x01\0\0\0\xb9\x74\x80\x04\x08\xba\x04\0\0\0\xcd\x80\xb8\x01\0\0\0\x31\xdb\xcd\x80\x90I32\n"
    segment = b"".join(x.to_bytes(4, "little") for x in (1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 0x1000))
    open("p32", "wb").write(elf + segment + code); os.chmod("p32", 0o755)
    import subprocess
    try:
        out = subprocess.run(["./p32"], capture_output=True)
        print("32-bit program:", out.returncode, out.stdout)
        if out.returncode == 0:
            bad.append("a 32-bit program runs")
    except OSError as e:
        print("32-bit program:", e)
    escaped(bad) if bad else contained("no 32-bit door")
