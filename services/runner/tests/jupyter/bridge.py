"""A Jupyter kernel whose shell is Kiln's: what Jupyter's own tests say is sent to `driver/kernel` as the runner sends it.

For comparison only: outside of a sandbox, without the runner's limits. `python bridge.py -f CONNECTION_FILE`.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../driver/kernel/main.py")
STDOUT, STDERR, OUTPUT, ENDED, REPLY, SYNC, READY = range(1, 8)
CELL, REQUEST, SYNCED = range(1, 4)


class Shell:
    """The interpreter with Kiln's kernel, and the frames to and from it."""

    def __init__(self):
        own, theirs = socket.socketpair()
        launch = "import os, sys; os.dup2({}, 3); os.execv(sys.argv[1], sys.argv[1:])".format(theirs.fileno())
        environment = dict(os.environ, MPLBACKEND="module://matplotlib_inline.backend_inline")
        self.process = subprocess.Popen(
            [sys.executable, "-c", launch, sys.executable, "-B", "-u", DRIVER], pass_fds=[theirs.fileno()],
            start_new_session=True, env=environment,
        )
        theirs.close()
        self.socket, self.number, self.last = own, 0, None
        assert self.read()[0] == READY

    def read(self):
        length, kind = struct.unpack("<IB", self._exactly(5))
        return kind, self._exactly(length)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def send(self, kind, content=None, descriptor=None):
        payload = b"" if content is None else json.dumps(content).encode()
        rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))]
        self.socket.sendmsg([struct.pack("<IB", len(payload), kind) + payload], rights)


class Bridge(Kernel):
    implementation, implementation_version = "kiln", "1"
    language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py", "version": sys.version.split()[0]}
    banner = "Kiln"

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.shell_process = Shell()

    async def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **ignored):
        shell = self.shell_process
        shell.number += 1
        reader, writer = os.pipe() if allow_stdin else (None, None)
        cell = {"id": shell.number, "code": code, "silent": silent, "interactive": allow_stdin}
        shell.send(CELL, cell, reader)
        if reader is not None:
            os.close(reader)
        error = None
        loop = asyncio.get_running_loop()
        while True:
            kind, payload = await loop.run_in_executor(None, shell.read)
            if kind in (STDOUT, STDERR):
                text = payload.decode("utf-8", "replace")
                self.send_response(self.iopub_socket, "stream", {"name": "stdout" if kind == STDOUT else "stderr", "text": text})
            elif kind == OUTPUT:
                output = json.loads(payload)
                message = output.pop("output_type")
                if message == "error":
                    error = output
                self.send_response(self.iopub_socket, message, output)
            elif kind == SYNC:
                shell.send(SYNCED)
            elif kind == ENDED:
                break
        if writer is not None:
            os.close(writer)
        end = json.loads(payload)
        self.execution_count = end["execution_count"]
        if end["outcome"] == "succeeded":
            return {"status": "ok", "execution_count": end["execution_count"], "payload": [], "user_expressions": {}}
        return dict(error or {}, status="error", execution_count=end["execution_count"])

    def do_complete(self, code, cursor_pos):
        answer = self.ask("complete", code, cursor_pos, 0)
        return dict(answer, status="ok", metadata={})

    def do_inspect(self, code, cursor_pos, detail_level=0, omit_sections=()):
        return dict(self.ask("inspect", code, cursor_pos, detail_level), status="ok", metadata={})

    def ask(self, kind, code, cursor, detail):
        self.shell_process.send(REQUEST, {"id": 1, "kind": kind, "code": code, "cursor": cursor, "detail": detail})
        while True:
            kind, payload = self.shell_process.read()
            if kind == REPLY:
                return json.loads(payload)["content"]

    def do_shutdown(self, restart):
        os.killpg(self.shell_process.process.pid, signal.SIGKILL)
        return {"status": "ok", "restart": restart}


if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=Bridge)
