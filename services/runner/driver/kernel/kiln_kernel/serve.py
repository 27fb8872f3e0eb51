"""The loop of a session: one cell after the other, in an event loop that goes on between them."""

import asyncio
import json
import os
import signal
import sys

from kiln_kernel import channel, shells, streams
from kiln_kernel.standard_input import StandardInput

SUCCEEDED, EXCEPTION, INTERRUPTED = "succeeded", "exception", "interrupted"
# Where this package lies; nothing of it is for the user's imports.
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def serve():
    """Never returns: the process ends when the runner goes or kills it, or when a cell asks for an end."""
    Kernel(channel.Channel(), shells.take()).run()


class Kernel:
    def __init__(self, frames, shell):
        self.frames, self.shell = frames, shell
        self.standard_input = StandardInput()
        # A cell runs: an interrupt is for it.
        self.executing = False
        self.interrupted = False
        # The task of a cell that awaits.
        self.task = None
        self.loop = None

    def run(self):
        sys.path[:] = [""] + [path for path in sys.path if path and os.path.abspath(path) != _HOME]
        sys.argv = [""]
        streams.install(self.frames)
        self.standard_input.begin(None)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        signal.signal(signal.SIGINT, self._interrupt)
        self.shell.start(self.frames, self.loop)
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._before_a_child)
        self.frames.say(channel.READY, {"shell": self.shell.name, "version": sys.version.split()[0]})
        main = self.loop.create_task(self._serve())
        while True:
            try:
                self.loop.run_until_complete(main)
            except KeyboardInterrupt:
                # It broke into the part of an awaiting cell that computes; the cell has it as its exception.
                continue

    async def _serve(self):
        readable = asyncio.Event()
        self.loop.add_reader(self.frames.socket.fileno(), readable.set)
        while True:
            while self.frames.received:
                await self._handle(*self.frames.received.popleft())
            await readable.wait()
            readable.clear()
            self.frames.receive()

    async def _handle(self, kind, payload):
        content = json.loads(payload.decode("utf-8", "surrogatepass"))
        if kind == channel.CELL:
            await self._cell(content)
        elif kind == channel.REQUEST:
            self._answer(content)

    async def _cell(self, cell):
        self.standard_input.begin(self.frames.descriptors.popleft() if cell["interactive"] else None)
        self.executing, self.interrupted = True, False
        outcome = EXCEPTION
        try:
            outcome = await self._run(cell)
        except KeyboardInterrupt as error:
            # Between the shell's own steps.
            outcome = INTERRUPTED
            self.shell.show_error(error)
        except BaseException as error:
            self.shell.show_error(error)
        finally:
            self.executing, self.task, self.frames.interrupted = False, None, False
        self.shell.finish_cell()
        streams.flush()
        streams.mend(self.frames)
        self.standard_input.end()
        if self.shell.is_over():
            # The end that the cell asked for is the end of the interpreter.
            os._exit(0)
        self.frames.say(channel.ENDED, {"id": cell["id"], "outcome": outcome, "execution_count": self.shell.count()})

    async def _run(self, cell):
        silent = cell.get("silent", False)
        coroutine = self.shell.begin(cell["code"], silent)
        if coroutine is None:
            error = self.shell.run(cell["code"], silent)
        else:
            self.task = self.loop.create_task(coroutine)
            try:
                error = await self.task
            except asyncio.CancelledError as cancelled:
                error = KeyboardInterrupt() if self.interrupted else cancelled
                self.shell.show_error(error)
        if error is None:
            return SUCCEEDED
        cancelled = self.interrupted and isinstance(error, asyncio.CancelledError)
        return INTERRUPTED if cancelled or isinstance(error, KeyboardInterrupt) else EXCEPTION

    def _answer(self, request):
        try:
            if request["kind"] == "complete":
                content = self.shell.complete_at(request["code"], request["cursor"])
            else:
                content = self.shell.inspect_at(request["code"], request["cursor"], request.get("detail", 0))
        except Exception as error:
            content = {"error": "{}: {}".format(type(error).__name__, error)}
        self.frames.say(channel.REPLY, {"id": request["id"], "content": content})

    def _interrupt(self, number, frame):
        """SIGINT: the cell's affair, and nobody's when there is none."""
        if not self.executing:
            return
        self.interrupted = True
        if self.frames.is_sending():
            # In the middle of a frame: as soon as it is out.
            self.frames.interrupted = True
            return
        if self.task is not None and _waits(frame):
            self.loop.call_soon_threadsafe(self.task.cancel)
            return
        raise KeyboardInterrupt

    def _before_a_child(self, event, arguments):
        """What was printed before a child process begins comes before what the child prints."""
        if event in _CHILDREN and self.executing and os.getpid() == self.frames.process:
            import threading

            if threading.current_thread() is threading.main_thread() and not self.frames.is_sending():
                self.frames.sync()


_CHILDREN = frozenset(["subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn"])


def _waits(frame):
    """Whether the event loop itself is what was interrupted, rather than code of the cell."""
    path = frame.f_code.co_filename if frame is not None else ""
    return os.path.basename(path) == "selectors.py" or os.path.basename(os.path.dirname(path)) == "asyncio"
