"""A Redis of our own on a free port of 127.0.0.1, and raw connections to it."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time

DEADLINE_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """A redis-server process; kill() and start() again keep the port."""

    def __init__(self, *arguments):
        self._arguments = arguments
        self._folder = tempfile.mkdtemp(prefix="fanwire-redis-")
        self._process = None
        self.unix_path = f"{self._folder}/redis.sock"
        for _ in range(10):
            self.port = free_port()
            if self._try_start():
                return
        raise RuntimeError("redis-server did not start")

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        deadline = time.monotonic() + DEADLINE_S
        while not self._try_start():
            assert time.monotonic() < deadline, "redis-server did not start again"

    def _try_start(self):
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            + ["--dir", self._folder, "--unixsocket", self.unix_path, *self._arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with RawConnection(self.port) as raw:
                    raw.command("PING")
                # Somebody else's answer, should the port have been taken, ends with our process.
                return self._process.poll() is None
            except OSError:
                time.sleep(0.01)
        self.kill()
        return False

    def kill(self):
        """As kill -9: no goodbye to its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cli(self, *arguments):
        command = ["redis-cli", "-p", str(self.port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout.strip()


class RawConnection:
    """RESP over a plain socket, so that nothing stands between a test and the bytes."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def command(self, *words):
        parts = [word if isinstance(word, bytes) else word.encode() for word in words]
        head = b"*%d\r\n" % len(parts)
        self._socket.sendall(head + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.reply()

    def reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind in (b"+", b"-"):
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        raise ValueError(f"not RESP: {line!r}")
