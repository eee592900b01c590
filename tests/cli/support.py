"""What the tests of the fanwire command share: the command itself, running ones, and Redis servers of their own."""

import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DEADLINE = 60  # seconds until a test gives up waiting; generous, as sanitizer builds on busy machines are slow
COMMAND = None  # path of the binary, from the command line


def main():
    """Runs the calling file's tests: python3 FILE_test.py PATH_OF_FANWIRE [unittest arguments]."""
    global COMMAND
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} PATH_OF_FANWIRE")
    COMMAND = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)


def clean_environment(**extra):
    """The environment without anything that fanwire reads."""
    kept = {k: v for k, v in os.environ.items() if k != "REDIS_URL" and not k.startswith("FANWIRE_")}
    return {**kept, **extra}


def run(*arguments, input=b"", env=None, timeout=DEADLINE):
    """Runs the command to its end; .stdout and .stderr are bytes."""
    return subprocess.run([COMMAND, *arguments], input=input, capture_output=True, timeout=timeout,
                          env=clean_environment(**(env or {})))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A command that runs beside the test. Its output is read all the time and waited for line by line."""

    def __init__(self, *arguments, env=None, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen([COMMAND, *arguments], stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean_environment(**(env or {})))
        self.notes_seen = []
        self._lines = self._reader(self.process.stdout)
        self._notes = self._reader(self.process.stderr)

    @staticmethod
    def _reader(stream):
        lines = queue.Queue()

        def read():
            with stream:
                for line in stream:
                    lines.put(line.rstrip(b"\n"))
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return lines

    def line(self):
        """The next line of stdout; None at its end."""
        return self._lines.get(timeout=DEADLINE)

    def wait_note(self, text):
        """Waits until a line of stderr holds `text`; returns it."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                note = self._notes.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no note {text!r}; there were {self.notes_seen}") from None
            if note is None:
                raise AssertionError(f"ended without a note {text!r}; there were {self.notes_seen}")
            note = note.decode(errors="replace")
            self.notes_seen.append(note)
            if text in note:
                return note

    def end(self, number=None):
        """Sends a signal, if any is given, and returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE)

    def rest(self):
        """The lines of stdout that were not taken yet, of a command that has ended."""
        return list(iter(self.line, None))

    def rest_of_notes(self):
        return list(iter(lambda: self._notes.get(timeout=DEADLINE), None))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class RedisServer:
    """A Redis of the test's own on a free port."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.directory = tempfile.mkdtemp(prefix="fanwire-cli-test-")
        self.process = None
        for _ in range(10):
            self.port = free_port()
            if self._launch():
                return
        raise RuntimeError(f"redis-server does not start, see {self.directory}/redis.log")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _launch(self):
        log = os.path.join(self.directory, "redis.log")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", self.directory, "--logfile", log, *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE
        while self.process.poll() is None and time.monotonic() < deadline:
            # The process id tells our server from another one that took the port.
            answer = self._ask(b"INFO server\r\n")
            if f"process_id:{self.process.pid}".encode() in answer or b"NOAUTH" in answer:
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _ask(self, request):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as link:
                link.sendall(request)
                return link.recv(65536)
        except OSError:
            return b""

    def kill(self):
        """kill -9, as a crash."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def restart(self):
        """Starts again on the same port, which a passer-by may hold for a moment."""
        deadline = time.monotonic() + DEADLINE
        while not self._launch():
            if time.monotonic() > deadline:
                raise RuntimeError(f"redis-server does not start again on port {self.port}")

    def redis_cli(self, *arguments, input=None):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *arguments], input=input, capture_output=True,
                              timeout=DEADLINE)
        return done.stdout

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class RedisTest(unittest.TestCase):
    """Tests against one Redis for the whole class."""

    server_arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer(*cls.server_arguments)
        cls.addClassCleanup(cls.redis.stop)

    def start(self, *arguments, **how):
        """A command that runs beside the test and is gone after it."""
        running = Running(*arguments, **how)
        self.addCleanup(running.close)
        return running

    def subscribe(self, *arguments, **how):
        """`fanwire sub` on this test's Redis, subscribed to all it was told to."""
        running = self.start("sub", "--url", self.redis.url, *arguments, **how)
        wanted = [a for i, a in enumerate(arguments) if not a.startswith("--") and
                  arguments[i - 1] not in ("--count", "--timeout")]
        for _ in wanted:
            running.wait_note("subscribed to")
        return running

    def publish(self, channel, message):
        done = run("pub", "--url", self.redis.url, channel, message)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(done.stdout)
