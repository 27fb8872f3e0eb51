"""What Kiln adds to a Python interpreter before it runs a program: figures and other displays, and nothing else.

The interpreter itself runs the script (`python -s -B -u main.py`), so tracebacks, `__main__`, exit codes, threads
and signals are Python's own. This module is imported by `site` at start-up, before the working directory is on
`sys.path`. It costs nothing until the program imports Matplotlib; then `plt.show()` and the end of the program send
each open figure, once, as one line of JSON (an nbformat `display_data`) on the descriptor that KILN_DISPLAY_FD names.
So do IPython's `display` and Pillow's `show` where a program imports them.

Standard library only, Python 3.6 and later.
"""

import os
import sys

_CONFIGURATION = "/tmp/.config/matplotlib"


class _Display:
    """The pipe to the runner. Whoever closes it or puts another file in its place loses displays, nothing else."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.identity = self._identify()
        self.owner = os.getpid()
        os.set_inheritable(descriptor, False)

    def _identify(self):
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def send(self, data, metadata=None, transient=None, update=False):
        """Writes one output, or the change of one."""
        output = {"output_type": "update_display_data" if update else "display_data", "data": data, "metadata": metadata or {}}
        if transient:
            output["transient"] = transient
        self.write(output)

    def write(self, output):
        """Only the program's first process shows anything: a forked child's figures are its parent's."""
        import json

        if os.getpid() != self.owner:
            return
        line = json.dumps(output, default=_as_text) + "\n"
        rest = memoryview(line.encode())
        try:
            while rest and self._identify() == self.identity:
                rest = rest[os.write(self.descriptor, rest):]
        except OSError:
            pass


def _as_text(value):
    """What JSON does not know: bytes as base64, the rest by its own words."""
    import base64

    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


class _Figures:
    """Stands in for the window that `plt.show()` would open."""

    def __init__(self, display, pyplot):
        self.display = display
        self.pyplot = pyplot

    def show(self):
        """Sends each open figure, in the order of their numbers, and closes it."""
        for number in self.pyplot.get_fignums():
            self.show_one(self.pyplot.figure(number))

    def show_one(self, figure):
        self._send(figure)
        self.pyplot.close(figure)

    def finish(self):
        """Sends what is still open when the program ends; the ways to end that skip this show nothing."""
        if os.getpid() == self.display.owner:
            self.show()

    def _send(self, figure):
        import io

        if len(figure.get_children()) < 2:  # Nothing but its background.
            return
        image = io.BytesIO()
        figure.savefig(image, format="png", bbox_inches="tight")
        self.display.send({"image/png": image.getvalue(), "text/plain": repr(figure)})


class _Imports:
    """Prepares what shows things as it is imported, and never otherwise."""

    def __init__(self, steps):
        # What is done with each module once it is there; Matplotlib itself is imported in its own way.
        self.steps = dict(steps, matplotlib=None)

    def begin(self):
        """What a zygote has imported is prepared now, the rest when it is imported."""
        for name in [name for name in self.steps if name in sys.modules]:
            step = self.steps.pop(name)
            if step is not None:
                step(sys.modules[name])
        if self.steps:
            sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name not in self.steps:
            return None
        step = self.steps.pop(name)
        if not self.steps:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    execute = spec.loader.exec_module
                    spec.loader.exec_module = self._library(execute) if step is None else self._then(execute, step)
                return spec
        return None

    def _library(self, execute):
        def exec_module(module):
            _offer_font_list()
            with _NoConfigurationFromWorkingDirectory():
                execute(module)

        return _part_of_importlib(exec_module)

    def _then(self, execute, step):
        def exec_module(module):
            execute(module)
            step(module)

        return _part_of_importlib(exec_module)


def prepare_session():
    """In a session's interpreter, where figures and `display` are its shell's affair."""
    _Imports({"PIL.ImageShow": _prefer_notebook}).begin()


def _prepare_program(display):
    steps = {
        "matplotlib.pyplot": lambda module: _attach(display, module),
        "IPython.core.display_functions": lambda module: _DisplayFunctions(display, module).attach(),
        "PIL.ImageShow": _prefer_notebook,
    }
    _Imports(steps).begin()


class _DisplayFunctions:
    def __init__(self, display, module):
        self.way, self.module, self.formatter = display, module, None

    def attach(self):
        """IPython's own functions need its shell, which a program does not have; these say the same to the runner."""
        self.module.display = self.display
        self.module.publish_display_data = self.publish
        self.module.clear_output = self.clear

    def publish(self, data, metadata=None, *, transient=None, **arguments):
        self.way.send(data, metadata, transient, arguments.get("update", False))

    def clear(self, wait=False):
        self.way.write({"output_type": "clear_output", "wait": bool(wait)})

    def display(self, *objects, include=None, exclude=None, metadata=None, transient=None, display_id=None, raw=False,
                clear=False, **arguments):
        if clear:
            self.clear(wait=True)
        if display_id is True:
            display_id = os.urandom(16).hex()
        if display_id is not None:
            transient = dict(transient or {}, display_id=display_id)
        for thing in objects:
            data, more = (thing, {}) if raw else self._format(thing, include, exclude)
            if data:
                self.publish(data, dict(more, **(metadata or {})), transient=transient, **arguments)
        return self.module.DisplayHandle(display_id) if display_id is not None else None

    def _format(self, thing, include, exclude):
        if self.formatter is None:
            from IPython.core.formatters import DisplayFormatter

            self.formatter = DisplayFormatter()
            png = self.formatter.formatters["image/png"]
            png.for_type_by_name("matplotlib.figure", "Figure", _as_png)
        return self.formatter.format(thing, include=include, exclude=exclude)


def _as_png(figure):
    import io

    image = io.BytesIO()
    figure.savefig(image, format="png", bbox_inches="tight")
    return image.getvalue()


def _prefer_notebook(module):
    """Pillow shows its images as outputs, not by programs of a desktop that there is none of."""
    module._viewers.sort(key=lambda viewer: type(viewer).__name__ != "IPythonViewer")


class _NoConfigurationFromWorkingDirectory:
    """While Matplotlib is imported, the first place where it looks for its settings seems to be empty."""

    def __enter__(self):
        exists = self.exists = os.path.exists
        os.path.exists = lambda path: path != "matplotlibrc" and exists(path)

    def __exit__(self, *error):
        os.path.exists = self.exists


def _part_of_importlib(function):
    """Lets tracebacks leave this frame out, as they leave out importlib's own."""
    code = function.__code__
    if hasattr(code, "replace"):
        function.__code__ = code.replace(co_filename="<frozen importlib._bootstrap_external>")
    return function


def _offer_font_list():
    """Puts the list of fonts that the environment was built with where Matplotlib looks, since making it takes seconds."""
    directory = os.environ.setdefault("MPLCONFIGDIR", _CONFIGURATION)
    made = os.path.join(sys.prefix, "share", "kiln", "matplotlib")
    if directory != _CONFIGURATION or not os.path.isdir(made):
        return
    try:
        os.makedirs(directory, exist_ok=True)
        for name in os.listdir(made):
            os.symlink(os.path.join(made, name), os.path.join(directory, name))
    except OSError:
        pass  # Matplotlib makes its own list.


def _attach(display, pyplot):
    if not hasattr(pyplot, "get_fignums"):
        return  # A module of the user's own.
    import atexit

    from matplotlib.backend_bases import FigureManagerBase

    figures = _Figures(display, pyplot)
    # A plain function: Matplotlib gives it the signature of the backend's own.
    pyplot.show = lambda *args, **kwargs: figures.show()
    pyplot.show.__name__ = "show"
    FigureManagerBase.show = lambda manager: figures.show_one(manager.canvas.figure)
    atexit.register(figures.finish)


def _write_through():
    """Python 3.6 keeps an unfinished line even with -u; from 3.7 on it does not."""
    import io

    for name in ("stdout", "stderr"):
        old = getattr(sys, name)
        encoding, errors = old.encoding, old.errors
        new = io.TextIOWrapper(old.detach(), encoding=encoding, errors=errors, newline="\n", write_through=True)
        new.mode = "w"
        setattr(sys, name, new)
        setattr(sys, "__{}__".format(name), new)


def _become_zygote():
    """Waits for a program, with modules imported ahead; returns in each program's process."""
    _offer_font_list()
    with open(os.environ["KILN_ZYGOTE"]) as file:
        text = file.read()
    exec(compile(text, "<zygote>", "exec"), {})


def _start():
    if "KILN_ZYGOTE" in os.environ:
        _become_zygote()
    if sys.version_info < (3, 7):
        _write_through()
    # Taken away, so that only this process shows figures and its children never mistake a descriptor of their own.
    descriptor = os.environ.pop("KILN_DISPLAY_FD", "")
    if descriptor.isdigit():
        try:
            _prepare_program(_Display(int(descriptor)))
        except OSError:
            pass  # No such descriptor: nobody is looking.


_start()
