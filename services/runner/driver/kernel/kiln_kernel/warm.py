"""Imported by a zygote: makes the shell ahead, so that a session finds it made."""

from kiln_kernel import shells

shells.prepare()
