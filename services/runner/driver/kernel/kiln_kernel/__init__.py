"""A session's kernel: takes cells from the runner, runs them in one namespace, and says what they show.

`serve` is the loop, `channel` the frames, `streams` what `print` writes to, `ipython` and `plain` the two shells.
Standard library only but for IPython, which is used where it is installed. Python 3.6 and later.
"""
