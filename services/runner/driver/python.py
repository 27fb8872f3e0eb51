"""What Kiln adds to a Python interpreter before it runs a program: figures, and nothing else.

The interpreter itself runs the script (`python -s -B -u main.py`), so tracebacks, `__main__`, exit codes, threads
and signals are Python's own. This module is imported by `site` at start-up, before the working directory is on
`sys.path`. It costs nothing until the program imports Matplotlib; then `plt.show()` and the end of the program send
each open figure, once, as one line of JSON (an nbformat `display_data`) on the descriptor that KILN_DISPLAY_FD names.

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

    def send(self, data):
        """Writes one output. Only the program's first process does: a forked child's figures are its parent's."""
        import json

        if os.getpid() != self.owner:
            return
        line = json.dumps({"output_type": "display_data", "data": data, "metadata": {}}) + "\n"
        rest = memoryview(line.encode())
        try:
            while rest and self._identify() == self.identity:
                rest = rest[os.write(self.descriptor, rest):]
        except OSError:
            pass


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
        import base64
        import io

        if len(figure.get_children()) < 2:  # Nothing but its background.
            return
        image = io.BytesIO()
        figure.savefig(image, format="png", bbox_inches="tight")
        png = base64.b64encode(image.getvalue()).decode("ascii")
        self.display.send({"image/png": png, "text/plain": repr(figure)})


class _Imports:
    """Prepares Matplotlib as it is imported, and never otherwise."""

    def __init__(self, display):
        self.steps = {"matplotlib": self._library, "matplotlib.pyplot": self._pyplot}
        self.display = display

    def begin(self):
        """What a zygote has imported is prepared now, the rest when it is imported."""
        for name in [name for name in self.steps if name in sys.modules]:
            del self.steps[name]
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            _attach(self.display, pyplot)
        if self.steps:
            sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        step = self.steps.pop(name, None)
        if step is None:
            return None
        if not self.steps:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader.exec_module = step(spec.loader.exec_module)
                return spec
        return None

    def _library(self, execute):
        def exec_module(module):
            _offer_font_list()
            with _NoConfigurationFromWorkingDirectory():
                execute(module)

        return _part_of_importlib(exec_module)

    def _pyplot(self, execute):
        def exec_module(module):
            execute(module)
            if hasattr(module, "get_fignums"):
                _attach(self.display, module)

        return _part_of_importlib(exec_module)


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
            _Imports(_Display(int(descriptor))).begin()
        except OSError:
            pass  # No such descriptor: nobody is looking.


_start()
