"""The script of a session's interpreter; what a user's cells see as `__main__` is another module."""

import kiln_kernel.serve

kiln_kernel.serve.serve()
