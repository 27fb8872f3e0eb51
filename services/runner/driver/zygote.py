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
            shared = _keep_out_of_the_end(self.ctypes)
            for name in modules:
                __import__(name)
            shared.extend(set(sys.modules) - self.before)
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
            gc.freeze()

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


def _keep_out_of_the_end(ctypes):
    """Has the modules that are shared outlive the interpreter, since taking them apart would copy their pages.

    Registered first, so called last: after the program's own exit functions, and before its objects are destroyed.
    Whatever the program imported itself is destroyed as ever. Gives the list that takes the modules' names.
    """
    import atexit

    names = []

    def leave():
        modules = [sys.modules.pop(name) for name in names if name in sys.modules]
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(modules))

    atexit.register(leave)
    return names


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
