"""Members of a fleet: programs in processes of their own that are told what to do line by line."""

import json
import pathlib
import subprocess
import sys
import textwrap
import threading
import time

from conftest import DEADLINE_S, until_blocking

# In the program, `url` is where Redis is, `say(value)` is seen by the test, and `commands()` are what the test sends.
PRELUDE = """
import asyncio, json, sys, threading

url, kind = sys.argv[1:]

def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()

async def commands():
    lines = asyncio.Queue()
    loop = asyncio.get_running_loop()
    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(lines.put_nowait, None)
    threading.Thread(target=read, daemon=True).start()
    while (command := await lines.get()) is not None:
        yield command
"""


class Member:
    """A running program; `said` is the list of what it has said."""

    def __init__(self, program, url, kind):
        self.kind = kind
        self.said = []
        command = [sys.executable, "-c", PRELUDE + textwrap.dedent(program), url, kind]
        self._errors = []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=pathlib.Path(__file__).parent,  # programs import from the tests
        )
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self.finish()

    def _read(self):
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def _read_errors(self):
        self._errors += self._process.stderr

    @property
    def errors(self):
        return "".join(self._errors)

    def tell(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def wait(self, condition):
        """Until `condition` holds of what was said."""
        def holds():
            assert self._process.poll() is None or condition(self.said), f"{self.kind} has ended: {self.errors}"
            return condition(self.said)

        try:
            until_blocking(holds)
        except AssertionError as error:
            raise AssertionError(f"{self.kind}: {error}; it said {self.said} {self.errors[-2000:]}") from None

    def saw(self, value):
        self.wait(lambda said: value in said)

    def finish(self):
        """Ends its input; returns its status."""
        if not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            status = self._process.wait(DEADLINE_S)
        finally:
            self._process.kill()
        for reader in self._readers:
            reader.join()
        self._process.stdout.close()
        self._process.stderr.close()
        return status


def heard_again(members, say, what):
    """After an outage: repeats until each member has heard one, since those that were not back yet have missed some."""
    before = [len(member.said) for member in members]
    count = 0
    said_at = 0

    def again():
        nonlocal count, said_at
        if time.monotonic() > said_at + 0.1:
            said_at = time.monotonic()
            count += 1
            say(f"{what} {count}")
        return all(what in json.dumps(member.said[start:]) for member, start in zip(members, before))

    try:
        until_blocking(again)
    except AssertionError:
        heard = [(member.kind, member.said[start:], member.errors) for member, start in zip(members, before)]
        raise AssertionError(f"not heard by all: {heard}") from None
