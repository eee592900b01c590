"""Programs in processes of their own: what they print, and how they end."""

import pathlib
import subprocess
import sys
import tempfile
import textwrap

from conftest import DEADLINE_S

PRELUDE = """
import asyncio, gc, os, signal, sys, threading, time
import fanwire
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
"""

RESOURCE_WARNINGS = ("-W", "always::ResourceWarning")


def run(code, url, *, status=0, options=RESOURCE_WARNINGS, first=""):
    """Runs the program with `url` in it, `first` before all else. It is a file, for multiprocessing to import."""
    with tempfile.TemporaryDirectory(prefix="fanwire-child-") as folder:
        program = pathlib.Path(folder, "program.py")
        program.write_text(first + PRELUDE + f"url = {url!r}\n" + textwrap.dedent(code))
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", *options, program],
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
        )
    assert done.returncode == status, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert "Fatal" not in done.stderr, done.stderr
    return done
