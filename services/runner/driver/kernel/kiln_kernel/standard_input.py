"""Standard input, cell by cell: the runner gives an interactive cell a pipe of its own, the others have none."""

import builtins
import os
import sys


class StdinNotImplementedError(NotImplementedError):
    """As Jupyter's kernels raise where nobody can answer."""

    __module__ = "builtins"


class StandardInput:
    def __init__(self):
        self.builtin = builtins.input
        self.is_there = False

    def begin(self, descriptor):
        """Standard input is the pipe, or empty without one."""
        self.is_there = descriptor is not None
        if descriptor is None:
            descriptor = os.open(os.devnull, os.O_RDONLY)
        os.dup2(descriptor, 0)
        os.close(descriptor)
        sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)
        if builtins.input in (self.builtin, self._refuse):
            builtins.input = self.builtin if self.is_there else self._refuse
        getpass = sys.modules.get("getpass")
        if getpass is not None:
            # There is no terminal to turn the echo of off.
            getpass.getpass = _getpass

    def end(self):
        if self.is_there:
            self.begin(None)

    def _refuse(self, prompt=""):
        raise StdinNotImplementedError("input() needs an interactive execution: this one was sent without `interactive`.")


def _getpass(prompt="Password: ", stream=None):
    return input(prompt)
