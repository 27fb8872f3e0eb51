"""IPython's shell with its outputs sent to the runner, as ipykernel sends them to its clients."""

import os
import subprocess
import sys

from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.tokenutil import token_at_cursor

from kiln_kernel import show

_DIRECTORY = "/tmp/.ipython"
_MOST_MATCHES = 500


class _Hook(DisplayHook):
    """The value of a cell's last expression."""

    def write_output_prompt(self):
        self.output = {"output_type": "execute_result", "execution_count": self.prompt_count, "data": {}, "metadata": {}}

    def write_format_data(self, format_dict, md_dict=None):
        self.output["data"], self.output["metadata"] = dict(format_dict), dict(md_dict or {})

    def finish_displayhook(self):
        sys.stdout.flush()
        if self.output["data"]:
            self.shell.frames.output(self.output)
        self.output = None


class _Publisher(DisplayPublisher):
    """Everything else that is displayed."""

    def publish(self, data, metadata=None, *, transient=None, update=False, **ignored):
        kind = "update_display_data" if update else "display_data"
        output = {"output_type": kind, "data": dict(data), "metadata": dict(metadata or {})}
        if transient:
            output["transient"] = transient
        self.shell.frames.output(output)

    def clear_output(self, wait=False):
        self.shell.frames.output({"output_type": "clear_output", "wait": bool(wait)})


class KilnShell(InteractiveShell):
    displayhook_class = _Hook
    display_pub_class = _Publisher

    def __init__(self, **arguments):
        self.frames = None
        self.over = False
        os.environ.setdefault("IPYTHONDIR", _DIRECTORY)
        super().__init__(**arguments)
        self.Completer.use_jedi = False
        self.name = "ipython {}".format(".".join(map(str, sys.modules["IPython"].version_info[:3])))

    def init_sys_modules(self):
        """Put off to `start`: until then this process is a script of its own."""

    def init_history(self):
        from IPython.core.history import HistoryManager

        # In memory: a session's disk is the user's.
        self.history_manager = HistoryManager(shell=self, parent=self, enabled=False)
        self.configurables.append(self.history_manager)

    def init_readline(self):
        pass

    def start(self, frames, loop):
        self.frames, self.loop = frames, loop
        sys.modules["__main__"] = self.user_module
        self.set_hook("show_in_pager", self._page, 99)
        driver = sys.modules.get("kiln_driver")
        if driver is not None:
            driver.prepare_session()

    def count(self):
        # The count of the cell that has ended.
        return self.shown_count

    def is_over(self):
        return self.over

    def begin(self, code, silent):
        self.shown_count = self.execution_count
        self.prepared = self.transform(code)
        if self.should_run_async(code, **self.prepared):
            return self._run_awaiting(code, silent)
        return None

    def transform(self, code):
        try:
            return {"transformed_cell": self.transform_cell(code), "preprocessing_exc_tuple": None}
        except Exception:
            return {"transformed_cell": code, "preprocessing_exc_tuple": sys.exc_info()}

    def run(self, code, silent):
        result = self.run_cell(code, store_history=not silent, silent=silent)
        return result.error_before_exec or result.error_in_exec

    async def _run_awaiting(self, code, silent):
        result = None
        try:
            result = await self.run_cell_async(code, store_history=not silent, silent=silent, **self.prepared)
        finally:
            self.events.trigger("post_execute")
            if not silent and result is not None:
                self.events.trigger("post_run_cell", result)
        return result.error_before_exec or result.error_in_exec

    def show_error(self, error):
        self.showtraceback((type(error), error, error.__traceback__))
        return error

    def finish_cell(self):
        pass

    def _showtraceback(self, kind, value, lines):
        name = getattr(kind, "__name__", str(kind))
        lines = lines if isinstance(lines, list) else str(lines).split("\n")
        sys.stdout.flush()
        self.frames.output({"output_type": "error", "ename": name, "evalue": show.text_of(value), "traceback": lines})

    def system(self, command):
        """Runs it in a shell, with the descriptors of the session."""
        command = self.var_expand(command, depth=1)
        code = subprocess.call(command, shell=True, executable=os.environ.get("SHELL") or "/bin/bash")
        self.user_ns["_exit_code"] = code if code >= 0 else 128 - code

    system_piped = system_raw = system

    def ask_exit(self):
        self.over = True

    def enable_gui(self, gui=None):
        """There is no display but the notebook's."""

    def _page(self, shell, data, start=0, screen_lines=0, pager_cmd=None):
        data = data if isinstance(data, dict) else {"text/plain": str(data)}
        self.display_pub.publish(data.get("data", data))

    def complete_at(self, code, cursor):
        with provisionalcompleter():
            found = list(rectify_completions(code, self.Completer.completions(code, cursor)))[:_MOST_MATCHES]
        start = found[0].start if found else cursor
        return {
            "matches": [completion.text for completion in found],
            "cursor_start": start,
            "cursor_end": found[0].end if found else cursor,
        }

    def inspect_at(self, code, cursor, detail):
        try:
            data = self.object_inspect_mime(token_at_cursor(code, cursor), detail_level=detail)
        except KeyError:
            return {"found": False, "data": {}}
        return {"found": True, "data": data}
