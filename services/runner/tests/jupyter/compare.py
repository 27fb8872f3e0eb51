"""Runs Jupyter's own kernel tests against ipykernel and against Kiln's shell, and prints each difference.

`pip install ipykernel jupyter_kernel_test matplotlib pandas`, then `python compare.py`.
"""

import json
import os
import sys
import tempfile
import unittest

import jupyter_kernel_test

HERE = os.path.dirname(os.path.abspath(__file__))


class Samples:
    """What the tests are to send, in Python."""

    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_execute_result = [
        {"code": "1 + 2 + 3", "result": "6"},
        {"code": "[n * n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": "'a'", "result": "'a'"},
    ]
    code_generate_error = "raise ValueError('no')"
    code_display_data = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('x^2'))", "mime": "text/latex"},
        {"code": "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()", "mime": "image/png"},
        {"code": "import pandas; display(pandas.DataFrame({'a': [1]}))", "mime": "text/html"},
    ]
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    completion_samples = [{"text": "zi", "matches": {"zip"}}, {"text": "import o", "matches": {"os"}}]
    code_inspect_sample = "zip"
    code_page_something = None
    complete_code_samples = []


class Stock(Samples, jupyter_kernel_test.KernelTests):
    kernel_name = "python3"


class Kiln(Samples, jupyter_kernel_test.KernelTests):
    kernel_name = "kiln"


def outcomes(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    found = {}
    for kind, entries in (("failed", result.failures), ("error", result.errors), ("skipped", result.skipped)):
        found.update({test.id().split(".")[-1]: (kind, text.strip().splitlines()[-1]) for test, text in entries})
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    return {name: found.get(name, ("passed", "")) for name in names}


def main():
    with tempfile.TemporaryDirectory() as directory:
        place = os.path.join(directory, "kernels", "kiln")
        os.makedirs(place)
        spec = {"argv": [sys.executable, os.path.join(HERE, "bridge.py"), "-f", "{connection_file}"], "display_name": "Kiln",
                "language": "python"}
        with open(os.path.join(place, "kernel.json"), "w") as file:
            json.dump(spec, file)
        os.environ["JUPYTER_PATH"] = directory
        stock, kiln = outcomes(Stock), outcomes(Kiln)
    for name in sorted(stock):
        mark = "  " if stock[name][0] == kiln[name][0] else "! "
        print("{}{:32} ipykernel {:8} kiln {:8} {}".format(mark, name, stock[name][0], kiln[name][0], kiln[name][1]))
    return int(any(kiln[name][0] in ("failed", "error") and stock[name][0] == "passed" for name in stock))


if __name__ == "__main__":
    sys.exit(main())
