"""The shell of runtimes without IPython: the same outputs, the last expression's value, `await`, `!command`; no magics."""

import ast
import builtins
import codeop
import inspect
import linecache
import os
import re
import subprocess
import sys
import traceback
import types

from kiln_kernel import show

_HOME = os.path.dirname(os.path.abspath(__file__))
_RED, _OFF = "\x1b[0;31m", "\x1b[0m"
_AWAIT = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
_MOST_MATCHES = 500


class PlainShell:
    name = "plain"

    def __init__(self):
        self.module = types.ModuleType("__main__", "The cells of this session.")
        self.namespace = self.module.__dict__
        self.namespace.update({"In": [""], "Out": {}})
        self.number = 0
        self.flags = _AWAIT
        self.frames = None
        self.over = False
        self.shown = {}

    def start(self, frames, loop):
        self.frames = frames
        sys.modules["__main__"] = self.module
        sys.displayhook = self._show_value
        builtins.display = show.Display(frames)
        builtins.exit = builtins.quit = self._end

    def count(self):
        return self.number

    def is_over(self):
        return self.over

    def begin(self, code, silent):
        """A coroutine for a cell that awaits; none for one that is to be run as it is."""
        self.silent = silent
        if not silent:
            self.number += 1
            self.namespace["In"].append(code)
        self.steps = self.syntax_error = None
        try:
            self.steps = self._compile(code)
        except BaseException as error:
            self.syntax_error = error
            return None
        if any(step.co_flags & inspect.CO_COROUTINE for step in self.steps):
            return self._run_awaiting(self.steps)
        return None

    def run(self, code, silent):
        """Runs what `begin` was given; gives the exception, shown already, or none."""
        if self.syntax_error is not None:
            return self.show_error(self.syntax_error)
        try:
            for step in self.steps:
                exec(step, self.namespace)
        except BaseException as error:
            return self.show_error(error)
        return None

    async def _run_awaiting(self, steps):
        import asyncio

        try:
            for step in steps:
                result = eval(step, self.namespace)
                if step.co_flags & inspect.CO_COROUTINE:
                    await result
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return self.show_error(error)
        return None

    def _compile(self, code):
        """All statements but the last, and the last one, whose value is shown when it is an expression."""
        name = "<cell {}>".format(self.number)
        code = _with_commands(code)
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        flags = self.flags | _AWAIT
        tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
        last = []
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not _ends_with_semicolon(code):
            last = [ast.Interactive([tree.body.pop()])]
        steps = []
        if tree.body:
            steps.append(compile(tree, name, "exec", flags, True))
        steps.extend(compile(part, name, "single", flags, True) for part in last)
        for step in steps:
            self.flags |= step.co_flags & codeop.PyCF_MASK if hasattr(codeop, "PyCF_MASK") else step.co_flags & _FUTURES
        return steps

    def _show_value(self, value):
        if value is None:
            return
        builtins._ = None
        for older, newer in (("___", "__"), ("__", "_")):
            if newer in self.shown and self.namespace.get(newer) is self.shown[newer]:
                self.shown[older] = self.namespace[older] = self.namespace[newer]
        if "_" not in self.namespace or self.namespace["_"] is self.shown.get("_"):
            self.shown["_"] = self.namespace["_"] = value
        self.namespace["Out"][self.number] = value
        self.namespace["_{}".format(self.number)] = value
        if not self.silent:
            data, metadata = show.bundle(value)
            self.frames.output({
                "output_type": "execute_result", "execution_count": self.number, "data": data, "metadata": metadata,
            })

    def show_error(self, error):
        told = traceback.TracebackException(type(error), error, error.__traceback__)
        _without_launcher(told, set())
        lines = "".join(told.format()).rstrip("\n").split("\n")
        name = type(error).__name__
        lines = [_RED + line + _OFF if line.startswith(name) else line for line in lines]
        self.frames.output({"output_type": "error", "ename": name, "evalue": show.text_of(error), "traceback": lines})
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        return error

    def finish_cell(self):
        pass

    def _end(self, code=None):
        self.over = True

    def complete_at(self, code, cursor):
        import keyword
        import rlcompleter

        text = re.search(r"[\w.]*$", code[:cursor]).group()
        completer = rlcompleter.Completer(self.namespace)
        found = completer.attr_matches(text) if "." in text else completer.global_matches(text)
        names = sorted({match.rstrip("( :") for match in found} | {word for word in keyword.kwlist if word.startswith(text)})
        return {"matches": names[:_MOST_MATCHES], "cursor_start": cursor - len(text), "cursor_end": cursor}

    def inspect_at(self, code, cursor, detail):
        before, after = re.search(r"[\w.]*$", code[:cursor]).group(), re.match(r"\w*", code[cursor:]).group()
        first, *others = (before + after).rstrip(".").split(".")
        if not first:
            return {"found": False, "data": {}}
        spaces = (self.namespace, vars(builtins))
        try:
            value = next(space[first] for space in spaces if first in space)
            for name in others:
                value = inspect.getattr_static(value, name)
        except (AttributeError, StopIteration):
            return {"found": False, "data": {}}
        return {"found": True, "data": {"text/plain": _describe(before + after, value)}}


_FUTURES = 0
for _name in __import__("__future__").all_feature_names:
    _FUTURES |= getattr(__import__("__future__"), _name).compiler_flag


def _describe(name, value):
    lines = []
    try:
        lines.append("Signature: {}{}".format(name, inspect.signature(value)))
    except (TypeError, ValueError):
        pass
    lines.append("Type: {}".format(type(value).__name__))
    if not callable(value):
        lines.append("Value: {}".format(show.text_of(value)[:1000]))
    documentation = inspect.getdoc(value)
    if documentation:
        lines.append("Docstring:\n{}".format(documentation))
    return "\n".join(lines)


def _without_launcher(told, seen):
    """Takes this package's own frames out, of causes and contexts too."""
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    own = (os.path.join(_HOME, ""), )
    told.stack[:] = [frame for frame in told.stack if not frame.filename.startswith(own)]
    _without_launcher(told.__cause__, seen)
    _without_launcher(told.__context__, seen)
    for inner in getattr(told, "exceptions", None) or []:
        _without_launcher(inner, seen)


def _ends_with_semicolon(code):
    """As in notebooks, a semicolon at the end keeps the value from being shown."""
    import io
    import tokenize

    last = None
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER):
                last = token.string
    except (tokenize.TokenError, IndentationError):
        return False
    return last == ";"


def _with_commands(code):
    """Lines of a cell that are commands of the system: `!ls`. Only where the cell is no Python as it is."""
    if "!" not in code:
        return code
    try:
        ast.parse(code)
        return code
    except SyntaxError:
        pass
    def command(match):
        return "{}__import__('kiln_kernel.plain').plain.run_command({!r})".format(match.group(1), match.group(2))

    return re.sub(r"(?m)^([ \t]*)!(.+)$", command, code)


def run_command(command):
    """Runs it in a shell, with the descriptors of the session."""
    code = subprocess.call(command, shell=True, executable="/bin/bash" if os.path.exists("/bin/bash") else None)
    sys.modules["__main__"].__dict__["_exit_code"] = code
