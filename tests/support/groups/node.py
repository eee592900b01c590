"""One server of a group: its process, and as much of its protocol as is needed to set it up and ask it."""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time

PATIENCE_S = 30.0  # nothing takes that long unless it fails

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class GroupError(Exception):
    """A server did not start, refused a command, or did not get where it should in time."""


class NotStarted(Exception):
    """A server ended instead of starting, which no waiting mends."""


def wait_until(what: str, condition, seconds: float = PATIENCE_S):
    """Returns the first result of condition() that is true; an error of a server counts as false."""
    until = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < until:
        try:
            last = condition()
            if last:
                return last
        except (OSError, GroupError) as error:
            last = error
        time.sleep(0.01)
    raise GroupError(f"{what}: not within {seconds:g} s (last: {last})")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Connection:
    """Blocking, one command at a time. Replies: str, int, None, list; an error is raised."""

    def __init__(self, ip: str, port: int, tls: ssl.SSLContext | None, seconds: float) -> None:
        self._socket = socket.create_connection((ip, port), timeout=seconds)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def call(self, *words: object):
        encoded = [str(word).encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
        reply = self._reply()
        if isinstance(reply, GroupError):
            raise reply
        return reply

    def _reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the connection broke")
        kind, rest = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return rest
        if kind == b"-":
            return GroupError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._file.read(size + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if int(rest) < 0 else [self._reply() for _ in range(int(rest))]
        raise GroupError(f"a reply that is not RESP2: {line!r}")


def die_with_parent(namespace: int | None) -> None:
    """In the child before exec: it ends with the group's process, however that ends. Enters the network namespace."""
    if namespace is not None and _libc.setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Node:
    """`settings`: lines of the server's configuration file. `namespace`: a descriptor of a network namespace."""

    def __init__(self, name: str, folder: pathlib.Path, program: str, ip: str, port: int, settings: list[str], *,
                 password: str = "", tls: ssl.SSLContext | None = None, namespace: int | None = None,
                 sentinel: bool = False) -> None:  # fmt: skip
        self.name, self.ip, self.port = name, ip, port
        self.folder = folder / name
        self.folder.mkdir()
        self.is_paused = False
        self._program, self._password, self._tls = program, password, tls
        self._namespace, self._sentinel = namespace, sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self._configuration = self.folder / "redis.conf"  # sentinels, and cluster nodes in their way, write to theirs
        self._configuration.write_text("\n".join([f"dir {self.folder}", *settings]) + "\n")

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        if self.pid is not None:
            raise GroupError(f"{self.name} is running")
        command = [self._program, str(self._configuration), *(["--sentinel"] if self._sentinel else [])]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                             preexec_fn=lambda: die_with_parent(self._namespace))  # fmt: skip
        wait_until(f"{self.name} starts", self._is_up)

    def _is_up(self) -> bool:
        if self.pid is None:
            raise NotStarted(f"{self.name} does not start: {self.said()}")
        try:
            return self.call("PING") == "PONG"
        except GroupError as error:
            return str(error).startswith(("LOADING", "MASTERDOWN"))

    def said(self) -> str:
        """The end of its log."""
        return " | ".join((self.folder / "log").read_text(errors="replace").splitlines()[-4:])

    def connect(self, seconds: float = 5.0) -> Connection:
        connection = Connection(self.ip, self.port, self._tls, seconds)
        try:
            if self._password:
                connection.call("AUTH", self._password)
        except BaseException:
            connection.__exit__()
            raise
        return connection

    def call(self, *words: object):
        with self.connect() as connection:
            return connection.call(*words)

    def info(self, section: str) -> dict[str, str]:
        return dict(line.split(":", 1) for line in self.call("INFO", section).splitlines() if ":" in line)

    def kill(self) -> None:
        """At once, as a crash would; paused or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.is_paused = False

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self.is_paused = False

    def _signal(self, number: int) -> None:
        if self.pid is None:
            raise GroupError(f"{self.name} is not running")
        os.kill(self.pid, number)
