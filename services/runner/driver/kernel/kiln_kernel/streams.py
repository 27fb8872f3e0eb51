"""`sys.stdout` and `sys.stderr` of a session: in order with its other outputs, so through the channel.

What child processes and libraries in C print comes by the descriptors 1 and 2, as from any program.
"""

import io
import sys

from kiln_kernel import channel


class _Raw(io.RawIOBase):
    """Takes bytes; has the descriptor of the stream that it stands for, as programs expect."""

    mode = "wb"

    def __init__(self, frames, kind, descriptor, name):
        super().__init__()
        self.frames, self.kind, self.descriptor, self.name = frames, kind, descriptor, name

    def write(self, data):
        data = bytes(data)
        self.frames.stream(self.kind, data)
        return len(data)

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor

    def isatty(self):
        return False


def install(frames):
    """Puts the two streams in place; again where a cell has closed one."""
    for name, kind, descriptor, errors in (
        ("stdout", channel.STDOUT, 1, "surrogateescape"),
        ("stderr", channel.STDERR, 2, "backslashreplace"),
    ):
        present = getattr(sys, name, None)
        if isinstance(getattr(present, "kiln", None), _Raw) and not present.closed:
            continue
        raw = _Raw(frames, kind, descriptor, "<{}>".format(name))
        stream = _Text(raw, encoding="utf-8", errors=errors, newline="\n", write_through=True)
        stream.kiln = raw
        setattr(sys, name, stream)


def mend(frames):
    """After a cell: a stream that was closed is opened again; one that was replaced stays as the user wants it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if stream is None or getattr(stream, "closed", False):
            setattr(sys, name, None)
            install(frames)


def flush():
    """Everything printed so far is on its way, by Python and by C."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # Not ours, or closed: the user's own affair.
    libc = _libc()
    if libc is not None:
        libc.fflush(None)


class _Text(io.TextIOWrapper):
    mode = "w"


_libraries = []


def _libc():
    if not _libraries:
        try:
            import ctypes

            _libraries.append(ctypes.CDLL(None))
        except (ImportError, OSError):
            _libraries.append(None)
    return _libraries[0]
