"""Frames to and from the runner: a little-endian u32 length, one byte of kind, the payload.

User code shares this process and could write here as well: what it forges is about its own session and nothing else.
"""

import array
import collections
import json
import os
import socket
import struct
import threading

DESCRIPTOR = 3

# To the runner.
STDOUT, STDERR, OUTPUT, ENDED, REPLY, SYNC, READY = range(1, 8)
# From the runner.
CELL, REQUEST, SYNCED = range(1, 4)

_HEADER = struct.Struct("<IB")
_READ_BYTES = 65536
# Largest piece of a stream in one frame.
_PIECE_BYTES = 262144
# Largest output; the runner drops what is over.
_MOST_OUTPUT_BYTES = 8 * 1024 * 1024
# Of a text that stands for an output that is too large.
_MOST_TEXT = 100000


class Channel:
    """Whole frames from any thread, also when a signal or a finalizer wants to send in the middle of one."""

    def __init__(self, descriptor=DESCRIPTOR):
        os.set_inheritable(descriptor, False)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
        self.process = os.getpid()
        self.lock = threading.Lock()
        # The thread that is sending now.
        self.owner = None
        self.deferred = collections.deque()
        # An interrupt came in the middle of a frame.
        self.interrupted = False
        self.buffer = bytearray()
        self.received = collections.deque()
        self.descriptors = collections.deque()

    def stream(self, kind, data):
        """Bytes of standard output or standard errors. A forked child's go where any program's do."""
        if os.getpid() != self.process:
            _write_all(1 if kind == STDOUT else 2, data)
            return
        for start in range(0, len(data), _PIECE_BYTES):
            self._send(kind, data[start:start + _PIECE_BYTES])

    def output(self, output):
        """An nbformat output, or a message about one. Only the session's own process has any."""
        if os.getpid() == self.process:
            self._send(OUTPUT, encode_output(output))

    def say(self, kind, content):
        self._send(kind, encode(content))

    def sync(self):
        """Returns once the runner has taken everything that was sent. For the thread that reads the channel."""
        self._send(SYNC, b"")
        owner, self.owner = self.owner, threading.get_ident()
        try:
            while not any(kind == SYNCED for kind, _ in self.received):
                self.receive()
            self.received = collections.deque(frame for frame in self.received if frame[0] != SYNCED)
        finally:
            self.owner = owner
        self._let_interrupt()

    def receive(self):
        """Reads once; whole frames are then in `received`, descriptors that came with them in `descriptors`."""
        data, ancillary, _, _ = self.socket.recvmsg(_READ_BYTES, socket.CMSG_SPACE(4 * 4))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[:len(content) - len(content) % numbers.itemsize])
                self.descriptors.extend(numbers)
        if not data:
            # The runner has gone, and with it whoever could want something.
            os._exit(0)
        self.buffer += data
        while len(self.buffer) >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self.buffer)
            end = _HEADER.size + length
            if len(self.buffer) < end:
                break
            self.received.append((kind, bytes(self.buffer[_HEADER.size:end])))
            del self.buffer[:end]

    def is_sending(self):
        """Whether this thread is in the middle of a frame, so must not be interrupted."""
        return self.owner == threading.get_ident()

    def _send(self, kind, payload):
        frame = _HEADER.pack(len(payload), kind) + payload
        if self.is_sending():
            self.deferred.append(frame)
            return
        with self.lock:
            self.owner = threading.get_ident()
            try:
                _write_all(self.socket.fileno(), frame)
                while self.deferred:
                    _write_all(self.socket.fileno(), self.deferred.popleft())
            finally:
                self.owner = None
        self._let_interrupt()

    def _let_interrupt(self):
        if self.interrupted and threading.current_thread() is threading.main_thread():
            self.interrupted = False
            raise KeyboardInterrupt


def _write_all(descriptor, data):
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest):]


def encode(content):
    """JSON that any reader takes: no NaN, no half of a character."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, default=_plainer)
    except (ValueError, TypeError):
        text = json.dumps(_cleaned(content), ensure_ascii=False, default=_plainer)
    return text.encode("utf-8", "replace")


def encode_output(output):
    """As [`encode`], and within the bound: what is too large is left out, and its place says so."""
    encoded = encode(output)
    if len(encoded) <= _MOST_OUTPUT_BYTES:
        return encoded
    output = dict(output)
    if output.get("output_type") == "error":
        output["evalue"] = _cut(output["evalue"])
        output["traceback"] = [_cut("\n".join(output["traceback"]))]
        return encode(output)
    data = dict(output.get("data", {}))
    left_out = []
    for kind in sorted(data, key=lambda kind: -len(encode(data[kind]))):
        size = len(encode(data[kind]))
        left_out.append("{} of {} bytes".format(kind, size))
        if kind == "text/plain":
            data[kind] = _cut(str(data[kind]))
        else:
            del data[kind]
        output["data"] = data
        if len(encode(output)) < _MOST_OUTPUT_BYTES - _MOST_TEXT:
            break
    note = "[Left out, since an output may have {} bytes: {}]".format(_MOST_OUTPUT_BYTES, ", ".join(left_out))
    data["text/plain"] = "{}\n{}".format(data.get("text/plain", ""), note).lstrip("\n")
    return encode(output)


def _cut(text):
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + " …"


def _plainer(value):
    """What JSON does not know: bytes as base64, numbers of other libraries as numbers, the rest as text."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return base64.b64encode(bytes(value)).decode("ascii")
    for convert in ("item", "tolist", "isoformat"):
        method = getattr(value, convert, None)
        if method is not None:
            try:
                return method()
            except Exception:
                continue
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return repr(value)


def _cleaned(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _cleaned(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each) for each in value]
    return value
