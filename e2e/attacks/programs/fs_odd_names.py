# id: fs_odd_names
# title: file names with line ends, invalid UTF-8, direction marks, and of full length
# group: filesystem
# expect: ok
# must_print: ^left \d+$
# after: artifacts_listed_safely, artifacts_regular_only
import os
n = 0
for name in (b"a\nb", b"\xff\xfe", "\u202egnp.exe".encode(), b"-rf", b"%2e%2e%2fetc", b"a\\..\\b", b"x" * 255, b" ", b"...", b"<img src=x onerror=alert(1)>", b"$(id)", b"a'b\"c", b"\x1b]0;x\x07", b"CON", b"*", "e\u0301".encode(), "\u00e9".encode(), b"a\tb", b"\\x41", b"A"):
    try:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY); os.write(fd, b"x"); os.close(fd); n += 1
    except OSError as e:
        print(name, e.errno)
print("left", n)
