"""Makes the interpreter a zygote: it imports what programs import, then becomes a sandbox's program by forking.

Executed in the middle of the interpreter's start-up (by a .pth file, so while `site` is imported) when KILN_ZYGOTE
names this file. In the process that is to be a program it returns, and the interpreter goes on with its start: it
has yet to look at the working directory and to open the script, and does so as if it had just been executed. Hence
`__main__`, tracebacks, exit codes and threads are Python's own.

Standard library only, Python 3.6 and later. The rest is in `src/zygote`, called through ctypes.
"""

import os
import sys


class _Zygote:
    def __init__(self, before):
        import ctypes

        # Not CDLL: there is one thread, which keeps the interpreter's lock.
        self.library = ctypes.PyDLL(os.environ["KILN_ZYGOTE_LIBRARY"])
        self.library.kiln_zygote_ready.argtypes = [ctypes.c_char_p]
        self.library.kiln_zygote_failed.argtypes = [ctypes.c_char_p]
        self.library.kiln_sandbox_await.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
        self.library.kiln_sandbox_await.restype = ctypes.c_void_p
        self.ctypes = ctypes
        self.before = before
        self.generators = []

    def serve(self, modules):
        """Returns in each program's process, confined, with the run's message; in no other."""
        if self.library.kiln_zygote_open() != 0:
            os._exit(1)
        try:
            end = _End(self.ctypes)
            for name in modules:
                __import__(name)
            end.share()
            self._settle()
        except BaseException as error:
            self.library.kiln_zygote_failed("{}: {}".format(type(error).__name__, error).encode("utf-8", "replace"))
            os._exit(1)
        if self.library.kiln_zygote_ready(",".join(self._added()).encode("utf-8", "replace")) != 0:
            os._exit(1)
        if self.library.kiln_zygote_next() != 0:
            os._exit(0)
        # The first process of a new sandbox, which forks the program and becomes the runner.
        program = os.fork()
        if program:
            self.library.kiln_sandbox_runner(program)
        self.library.kiln_sandbox_program()
        self._forget()
        length = self.ctypes.c_size_t()
        message = self.library.kiln_sandbox_await(self.ctypes.byref(length))
        if not message:
            os._exit(127)
        return self.ctypes.string_at(message, length.value)

    def _added(self):
        """Top-level modules that are loaded here and would not be in an interpreter that has just started."""
        return sorted({name.partition(".")[0] for name in set(sys.modules) - self.before})

    def _settle(self):
        """What is here now stays: children share its pages as long as nobody counts references or collects there."""
        import gc

        if "random" in sys.modules:
            random = sys.modules["random"]
            generators = (thing for thing in gc.get_objects() if isinstance(thing, random.Random))
            self.generators = [thing for thing in generators if not isinstance(thing, random.SystemRandom)]
        gc.collect()
        if hasattr(gc, "freeze"):
            # All but what will hold the program's own objects, which are collected when it ends.
            main = sys.modules["__main__"]
            programs = [self.ctypes.py_object(thing) for thing in (main, main.__dict__)]
            for thing in programs:
                self.ctypes.pythonapi.PyObject_GC_UnTrack(thing)
            gc.freeze()
            for thing in programs:
                self.ctypes.pythonapi.PyObject_GC_Track(thing)

    def _forget(self):
        """Nothing random, and no name or time, is shared by two programs."""
        loaded = sys.modules.get
        for generator in self.generators:
            generator.seed()
        if loaded("numpy.random"):
            sys.modules["numpy.random"].seed()
        if loaded("tempfile"):
            sys.modules["tempfile"]._name_sequence = sys.modules["tempfile"].tempdir = None
        if loaded("multiprocessing.process"):
            process = sys.modules["multiprocessing.process"]
            process.current_process()._config["authkey"] = process.AuthenticationString(os.urandom(32))
        if loaded("logging"):
            import time

            logging = sys.modules["logging"]
            logging._startTime = time.time() if isinstance(logging._startTime, float) else time.time_ns()


_MOST_FRAMES = 256


class _End:
    """The end of a program that succeeded, without taking apart the interpreter: that would copy every shared page.

    Registered first, so called last: after threads and after the program's own exit functions. What the program made
    is destroyed and flushed as ever, then the process exits. Any other end is left to the interpreter.
    """

    def __init__(self, ctypes):
        import atexit

        self.ctypes = ctypes
        self.process = ctypes.CDLL(None)
        self.shared = set()
        self.is_tried = False
        atexit.register(self._leave)

    def share(self):
        """Whatever is loaded now stays to the end. Tells an exit by SystemExit, or leaves every end to the interpreter."""
        self.shared = set(sys.modules)
        try:
            self.process.dladdr.argtypes = [self.ctypes.c_void_p, self.ctypes.c_void_p]
            self.is_tried = not self._is_exit()
        except AttributeError:
            return  # Another C library.
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            # As a script's does, without a way out through the frames of the start-up.
            self.ctypes.pythonapi.PyRun_SimpleString(b"raise SystemExit(3)")
            os._exit(1)
        self.is_tried = os.waitpid(child, 0)[1] >> 8 == 3

    def _leave(self):
        printed = any(hasattr(sys, name) for name in ("last_type", "last_value", "last_exc"))
        if not self.is_tried or printed or self._is_exit():
            return
        try:
            self._destroy()
        except BaseException:
            return
        # What C has not written yet, and no more: destructors of libraries would take them apart as well.
        self.process.fflush(None)
        os._exit(0)

    def _is_exit(self):
        """Whether the interpreter's `Py_Exit` is what ends the process, so with a status of its own."""
        # While `site` is imported, where this is tried, there are many frames.
        addresses = (self.ctypes.c_void_p * _MOST_FRAMES)()
        count = self.process.backtrace(addresses, _MOST_FRAMES)
        info = (self.ctypes.c_void_p * 4)()
        for index in range(count):
            # Of a call that never returns the next address may belong to the next function.
            found = self.process.dladdr((addresses[index] or 1) - 1, info)
            if found and info[2] and self.ctypes.string_at(info[2]) == b"Py_Exit":
                return True
        return count == _MOST_FRAMES

    def _destroy(self):
        """The program's modules, and what only they held; finalizers see their globals, as at any end."""
        import gc

        # Collected together with what is below it, a file would lose what it has not written.
        self._flush(gc.get_objects())
        for name in [name for name in sys.modules if name not in self.shared] + ["__main__"]:
            sys.modules.pop(name, None)
        gc.collect()
        self._flush(gc.get_objects())
        sys.stdout.flush()
        sys.stderr.flush()

    def _flush(self, things):
        import io

        for thing in things:
            if isinstance(thing, (io.BufferedWriter, io.BufferedRandom, io.TextIOWrapper)):
                try:
                    thing.flush()
                except (OSError, ValueError):
                    pass  # Closed, or not for writing.


def _take_over(message):
    """Puts the run's arguments and environment in the place of the zygote's."""
    fields = message.split(b"\0")
    count = int(fields[0])
    arguments = [os.fsdecode(field) for field in fields[1:1 + count]]
    variables = dict(field.split(b"=", 1) for field in fields[1 + count:])
    wanted = {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    import posix

    posix.environ.clear()
    posix.environ.update(variables)
    # Up to 3.7 there is none yet, and runs with arguments are not given to a zygote.
    if hasattr(sys, "argv"):
        sys.argv[1:] = arguments
    if hasattr(sys, "orig_argv"):
        sys.orig_argv.extend(arguments)


def _start():
    before = set(sys.modules)
    modules = [name for name in os.environ.get("KILN_ZYGOTE_IMPORTS", "").split(",") if name]
    # Children of a program are ordinary interpreters.
    zygote = _Zygote(before)
    del os.environ["KILN_ZYGOTE"]
    _take_over(zygote.serve(modules))


_start()
