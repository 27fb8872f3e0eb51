"""Which shell runs the cells: IPython's where it is installed, else the plain one."""

_prepared = []


def prepare():
    """Makes the shell, which opens nothing and starts no thread, so that a process that has it can be forked."""
    if not _prepared:
        _prepared.append(_make())


def take():
    """The shell of this process."""
    prepare()
    return _prepared[0]


def _make():
    try:
        import IPython.core.interactiveshell
    except ImportError:
        from kiln_kernel.plain import PlainShell

        return PlainShell()
    from kiln_kernel.ipython import KilnShell

    return KilnShell.instance()
