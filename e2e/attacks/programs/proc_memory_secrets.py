# id: proc_memory_secrets
# title: tokens, addresses with passwords and keys anywhere in the memory of the process
# group: process
# expect: contained
# notes: a process that is forked from one that had secrets has them too, freed or not.
import re
def contained(why): print("CONTAINED:", why, flush=True)
def escaped(what): print("ESCAPED:", what, flush=True)
secret = re.compile(rb"(?:nats|postgres|postgresql|amqp|redis)://[\x21-\x7e]{1,60}@[\x21-\x7e]{3}|-----BEGIN [A-Z ]{0,12}PRIVATE KEY-----\s[A-Za-z0-9+/=]{40}|eyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20}|kiln_[0-9A-Za-z]{24,}|[Bb]earer [\w.-]{30,}")
bad, n = set(), 0
with open("/proc/self/mem", "rb", buffering=0) as mem:
    for line in open("/proc/self/maps"):
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (r\S+) \S+ (\S+) \d+ *(.*)", line)
        if not m or "w" not in m[3] or m[5].startswith("[v"):
            continue
        start, end = int(m[1], 16), int(m[2], 16)
        if end - start > 64 << 20:
            continue
        try:
            mem.seek(start); text = mem.read(end - start)
        except OSError:
            continue
        n += len(text)
        bad.update(found[:24] for found in secret.findall(text))
        del text
escaped(sorted(bad)) if bad else contained(f"{n >> 20} MiB searched")
