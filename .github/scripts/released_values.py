"""Writes the released images into the chart's values: FILE PREFIX DIGEST_OF_SERVICES DIGEST_OF_EXECUTOR."""
import pathlib
import re
import sys


def main():
    file, prefix, services, executor = pathlib.Path(sys.argv[1]), *sys.argv[2:5]
    for digest in (services, executor):
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            sys.exit(f"no digest: {digest!r}")
    text = file.read_text()
    for old, new in [
        ('  repository: ""\n', f'  repository: "{prefix}/kiln"\n'),
        ('  digest: ""\n  pullPolicy', f'  digest: "{services}"\n  pullPolicy'),
        ('image: { repository: "", tag: "", digest: "" }', f'image: {{ repository: "{prefix}/kiln-executor", tag: "", digest: "{executor}" }}'),
    ]:
        if text.count(old) != 1:
            sys.exit(f"{file}: {old!r} is there {text.count(old)} times")
        text = text.replace(old, new)
    file.write_text(text)


if __name__ == "__main__":
    main()
