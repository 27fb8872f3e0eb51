"""What the checks of the shipped files share: how one says that it passed, failed, or could not be made.

Exit code 0 says that nothing is wrong. What could not be looked at is said in a line that begins with `SKIPPED: `.
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Faults:
    """Collects what is wrong, so that one run tells all of it."""

    def __init__(self):
        self.found = []

    def add(self, place, what):
        self.found.append(f"{place}: {what}")

    def expect(self, condition, place, what):
        if not condition:
            self.add(place, what)

    def finish(self, summary):
        for fault in self.found:
            print(fault)
        if self.found:
            sys.exit(1)
        print(summary)


def skipped(why):
    print(f"SKIPPED: {why}")


def skip(why):
    """Ends the check: nothing of it can be made."""
    skipped(why)
    sys.exit(0)


def run(command, **options):
    """Output and success of a command, both streams together, within a minute unless said otherwise."""
    options.setdefault("timeout", 60)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    return done.returncode == 0, done.stdout


def kiln():
    """The program as built, or the end of the check."""
    path = os.environ.get("KILN_BIN", "")
    if not os.access(path, os.X_OK):
        skip("the program is not built: cargo build --release --workspace")
    return path


def debian(program, package):
    """The path of `program`: on PATH, or out of Debian's package, unpacked in the cache without being installed."""
    found = shutil.which(program)
    if found:
        return found
    home = pathlib.Path(os.environ["SHIP_CACHE"]) / "debian"
    binary = home / "usr/bin" / program
    if binary.exists():
        return str(binary)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    home.mkdir(parents=True, exist_ok=True)
    fetched, _ = run(["apt-get", "download", "--quiet", package], cwd=home, timeout=180)
    if not fetched:
        # The lists may be older than the mirror.
        run(["apt-get", "update", "--quiet"], timeout=180)
        fetched, output = run(["apt-get", "download", "--quiet", package], cwd=home, timeout=180)
        if not fetched:
            print(output)
            return None
    for archive in home.glob(f"{package}_*.deb"):
        run(["dpkg-deb", "--extract", archive, home])
    return str(binary) if binary.exists() else None
