"""A Redis of the benchmark's own, and as much of its protocol as is needed to ask it something."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import time


class ServerError(Exception):
    """Redis did not start, or answered with an error."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; somebody may before they are used."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Server:
    """redis-server over TCP, a unix socket and TLS, that never drops a slow receiver (so that nothing is lost)."""

    def __init__(self, folder: pathlib.Path, certificates: pathlib.Path) -> None:
        self.socket_path = folder / "redis.sock"
        self.ca = certificates / "ca.pem"
        self._certificates = certificates
        self._log = folder / "redis.log"
        self._folder = folder
        for _ in range(5):
            self.port, self.tls_port = free_ports(2)
            if self._start():
                return
        raise ServerError("redis-server does not start:\n" + self._log.read_text()[-2000:])

    def _start(self) -> bool:
        server = shutil.which("redis-server")
        if server is None:
            raise ServerError("redis-server is not installed")
        options = {
            "port": self.port, "tls-port": self.tls_port, "bind": "127.0.0.1", "unixsocket": self.socket_path,
            "tls-cert-file": self._certificates / "server.pem", "tls-key-file": self._certificates / "server.key",
            "tls-ca-cert-file": self.ca, "tls-auth-clients": "no", "save": "", "appendonly": "no",
            "dir": self._folder, "maxclients": 10000,
        }  # fmt: skip
        command = [server]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        command += ["--client-output-buffer-limit", "pubsub", "0", "0", "0"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 20
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self.command("PING")
                return True
            except OSError:
                time.sleep(0.01)
        self.stop()
        return False

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def command(self, *words: str) -> str:
        """The answer to one command, as text: a line, or a bulk string. May take as long as the server is busy."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answers:
                line = answers.readline().rstrip(b"\r\n").decode()
                if line.startswith("-"):
                    raise ServerError(line[1:])
                return answers.read(int(line[1:])).decode() if line.startswith("$") else line[1:]

    def info(self, section: str, key: str) -> str:
        for line in self.command("INFO", section).splitlines():
            if line.startswith(key + ":"):
                return line[len(key) + 1 :]
        return ""

    def published(self) -> int:
        """How many PUBLISH it has executed since the last call of reset()."""
        calls = self.info("commandstats", "cmdstat_publish")
        return int(calls.split(",")[0].split("=")[1]) if calls else 0

    def reset(self) -> None:
        self.command("CONFIG", "RESETSTAT")

    def version(self) -> str:
        return self.info("server", "redis_version")

    def url(self, transport: str) -> str:
        return {
            "tcp": f"redis://127.0.0.1:{self.port}",
            "unix": f"unix://{self.socket_path}",
            "tls": f"rediss://127.0.0.1:{self.tls_port}",
        }[transport]
