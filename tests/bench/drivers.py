"""The programs that are measured: which there are, whether they can run here, and how one is run and listened to."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
READY_S = 60.0  # to subscribe
RUN_S = 120.0


class DriverError(Exception):
    """A driver failed, or what it received or published is not what it should be."""


@dataclasses.dataclass(frozen=True)
class Driver:
    """One client library. `missing` says why it cannot run here; "" when it can."""

    key: str
    label: str  # in the table
    language: str
    command: tuple[str, ...]
    ours: bool = False
    version: str = ""
    missing: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    optional: bool = False  # nobody misses it where it cannot be had
    is_client: bool = True  # False: bare system calls, which nobody expects to come back after a break

    def arguments(self, url: str, ca: pathlib.Path) -> list[str]:
        """How it is told where Redis is."""
        if not url.startswith("rediss:"):
            return ["--url", url]
        return ["--url", f"{url}?tls_ca_file={ca}"] if self.ours else ["--url", url, "--ca", str(ca)]


class Process:
    """A driver that runs: its lines are read with a deadline, and it never outlives this."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._pending = b""

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._child.stdout.close()
        self._errors.close()

    def line(self, seconds: float, what: str) -> str:
        """The next line that it prints within so many seconds."""
        until = time.monotonic() + seconds
        output = self._child.stdout.fileno()
        while b"\n" not in self._pending:
            if not select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                raise DriverError(f"{self.name}: no {what} within {seconds:g} s{self._said()}")
            read = os.read(output, 65536)
            if not read:
                code = self._child.wait()
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                raise DriverError(f"{self.name}: ended with {how} instead of {what}{self._said()}")
            self._pending += read
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def ready(self) -> None:
        line = self.line(READY_S, "ready")
        if line != "ready":
            raise DriverError(f"{self.name}: said {line!r} instead of ready")

    def result(self, seconds: float = RUN_S, messages: int | None = None) -> dict[str, float]:
        """The figures it prints at its end, if nothing was wrong."""
        line = self.line(seconds, "result")
        try:
            figures = json.loads(line)
        except ValueError:
            raise DriverError(f"{self.name}: said {line!r} instead of figures{self._said()}") from None
        if figures.get("wrong") != 0:
            raise DriverError(f"{self.name}: {figures.get('wrong')} messages were wrong, missing or out of order")
        if messages is not None and figures.get("messages") != messages:
            raise DriverError(f"{self.name}: {figures.get('messages')} messages instead of {messages}")
        try:
            code = self._child.wait(READY_S)
        except subprocess.TimeoutExpired:
            raise DriverError(f"{self.name}: does not end") from None
        if code != 0:
            raise DriverError(f"{self.name}: exit code {code}{self._said()}")
        return figures

    def ended(self) -> bool:
        return self._child.poll() is not None

    def terminate(self) -> None:
        self._child.send_signal(signal.SIGTERM)

    def _said(self) -> str:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return ": " + " | ".join(lines[-3:])[-400:] if lines else ""


# ---- Which there are ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Places:
    """What packaging/bench.sh has built and installed; None or an explanation where it could not."""

    build: pathlib.Path  # tests/bench of the release build
    python: pathlib.Path | None  # of a virtual environment
    node_packages: pathlib.Path | None  # the folder with node_modules


def output_of(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _native(places: Places, key: str, label: str, ours: bool = False, version: str = "") -> Driver:
    program = places.build / f"fanwire_bench_{key}"
    missing = "" if program.exists() else f"{program} is not built"
    return Driver(f"c-{key}", label, "C", (str(program),), ours, version, missing)


def _python(places: Places, key: str, label: str, script: str, package: str, *more: str,
            environment: tuple[tuple[str, str], ...] = ()) -> Driver:  # fmt: skip
    path = HERE / "python" / script
    missing = version = ""
    if not path.exists():
        missing = f"there is no tests/bench/python/{script}"
    elif places.python is None or not places.python.exists():
        missing = "its packages could not be installed"
    else:
        ask = f"import importlib.metadata as m; print(m.version({package!r}))"
        version = output_of([str(places.python), "-c", ask])
        missing = "" if version else f"the Python package {package} could not be installed"
    command = (str(places.python), "-B", str(path), *more)
    return Driver(key, label, "Python", command, package == "fanwire", version, missing, environment)


def _python_faces(places: Places) -> list[Driver]:
    """The faces of the Python package, and the packages in whose place they stand."""
    # broadcaster 0.3.1 receives nothing with redis-py 8.
    redis7 = (("PYTHONPATH", str(places.python.parent.parent.parent / "redis7")),) if places.python else ()
    return [
        _python(places, "python-faces", "fanwire", "faces.py", "fanwire"),
        _python(places, "broadcaster", "broadcaster", "faces.py", "broadcaster", "--original", environment=redis7),
        _python(places, "python-socketio", "python-socketio", "faces.py", "python-socketio", "--original"),
    ]


def _node(places: Places, key: str, label: str, script: str, package: str, runtime: str = "node", *more: str) -> Driver:
    path = HERE / "node" / script
    missing = version = ""
    modules = places.node_packages / "node_modules" if places.node_packages else None
    program = shutil.which("node") or ""
    if runtime == "bun" and modules is not None:
        program = str(modules / ".bin" / "bun")
    if not path.exists():
        missing = f"there is no tests/bench/node/{script}"
    elif modules is None:
        missing = "its packages could not be installed"
    elif not program or not os.path.exists(program) or not output_of([program, "--version"]):
        missing = f"there is no {runtime}"
    else:
        try:
            version = json.loads((modules / package / "package.json").read_text())["version"]
        except (OSError, ValueError, KeyError):
            missing = f"the npm package {package} could not be installed"
    environment = (("FANWIRE_BENCH_PACKAGES", str(places.node_packages)),)
    return Driver(key, label, "Bun" if runtime == "bun" else "Node", (program, str(path), *more),
                  package == "fanwire", version, missing, environment)  # fmt: skip


def _go(places: Places) -> Driver:
    """packaging/bench.sh builds it where there is a Go."""
    program = places.build / "fanwire_bench_rueidis"
    version = ""
    for line in output_of(["go", "version", "-m", str(program)]).splitlines() if program.exists() else ():
        words = line.split()
        if words[:2] == ["dep", "github.com/redis/rueidis"]:
            version = words[2].removeprefix("v")
    missing = "" if program.exists() else "there is no Go, or it could not be built"
    return Driver("rueidis", "rueidis", "Go", (str(program),), version=version, missing=missing, optional=True)


def _channel_layers(places: Places) -> list[Driver]:
    """Of Django Channels: ours needs what comes with the other one."""
    script = "channels_layer.py"
    original = _python(places, "channels-redis", "channels_redis", script, "channels-redis", "--original")
    ours = _python(places, "channels-ours", "fanwire", script, "fanwire")
    return [original, dataclasses.replace(ours, missing=ours.missing or original.missing)]


def _node_faces(places: Places) -> list[Driver]:
    """Of ws-kit, OriJS and Socket.IO, each beside the original, or what stands for it; ours needs what comes with that."""
    drivers = []
    for runtime, prefix in (("node", ""), ("bun", "bun-")):
        original = _node(places, f"{prefix}ws-kit", "@ws-kit/redis-pubsub", "ws-kit.mjs", "@ws-kit/redis-pubsub", runtime,
                         "--original")  # fmt: skip
        drivers += [original, _node(places, f"{prefix}ws-kit-ours", "fanwire", "ws-kit.mjs", "fanwire", runtime)]
    drivers += [_node(places, "orijs", "a stand-in over ioredis", "orijs.mjs", "ioredis", "node", "--original"),
                _node(places, "orijs-ours", "fanwire", "orijs.mjs", "fanwire")]  # fmt: skip
    original = _node(places, "socketio", "@socket.io/redis-adapter", "socketio.mjs", "@socket.io/redis-adapter", "node",
                     "redis-adapter")  # fmt: skip
    drivers.append(original)
    for key, label, adapter in (("socketio-ours", "fanwire", "ours"), ("socketio-classic", "fanwire", "ours-classic")):
        ours = _node(places, key, label, "socketio.mjs", "fanwire", "node", adapter)
        drivers.append(dataclasses.replace(ours, missing=ours.missing or original.missing))
    return drivers


def all_drivers(places: Places) -> dict[str, Driver]:
    hiredis = output_of(["pkg-config", "--modversion", "hiredis"])
    drivers = [
        _native(places, "ours", "fanwire", ours=True),
        _native(places, "hiredis", "hiredis", version=hiredis),
        dataclasses.replace(_native(places, "raw", "bare read+scan"), is_client=False),
        dataclasses.replace(_native(places, "raw", "bare pipelined PUBLISH"), key="c-publish"),
        dataclasses.replace(_native(places, "raw", "raw pipelined SUBSCRIBE"), key="c-replay"),
        _node(places, "node-ours", "fanwire", "ours.mjs", "fanwire"),
        _node(places, "ioredis", "ioredis", "ioredis.mjs", "ioredis"),
        _node(places, "ioredis-auto", "ioredis auto-pipelined", "ioredis.mjs", "ioredis", "node", "--auto-pipelining"),
        _node(places, "node-redis", "node-redis", "node-redis.mjs", "redis"),
        _node(places, "node-glide", "valkey-glide", "valkey-glide.mjs", "@valkey/valkey-glide"),
        _node(places, "bun-ours", "fanwire", "ours.mjs", "fanwire", "bun"),
        _node(places, "bun-native", "Bun's client", "bun-native.mjs", "bun", "bun"),
        _python(places, "python-ours", "fanwire", "ours.py", "fanwire"),
        _python(places, "python-ours-sync", "fanwire", "ours.py", "fanwire", "--sync"),
        _python(places, "redis-py", "redis-py", "redis_py.py", "redis"),
        _python(places, "redis-py-asyncio", "redis-py asyncio", "redis_py_asyncio.py", "redis"),
    ]
    drivers.append(_python(places, "python-glide", "valkey-glide", "valkey_glide.py", "valkey-glide"))
    drivers.append(_go(places))
    drivers += _channel_layers(places)
    drivers += _python_faces(places)
    drivers += _node_faces(places)
    benchmark = shutil.which("redis-benchmark")
    version = re.sub(r"[^0-9.].*", "", output_of(["redis-benchmark", "--version"]).removeprefix("redis-benchmark "))
    drivers.append(Driver("redis-benchmark", "redis-benchmark -P 100 -c 1", "C", (benchmark or "",), version=version,
                          missing="" if benchmark else "redis-benchmark is not installed"))  # fmt: skip
    return {driver.key: driver for driver in drivers}
