"""The type annotations: of the package, and as a user's type checker sees them."""

import pathlib
import subprocess
import sys
import typing

import fanwire

USER_CODE = '''
import asyncio
from pathlib import Path
import broadcaster
from collections.abc import Sequence
import json
import msgspec
import orjson
import redis.asyncio
import fanwire
import fanwire.backends
import fanwire.broadcaster
import fanwire.pondsocket
import fanwire.socketio
from fanwire.channels import FanwireChannelLayer, Loss

async def on_event(event: fanwire.Event) -> None:
    print(event.kind)

async def on_message(message: fanwire.Message) -> None:
    print(message.channel, message.text, message.data, message.json())

class OwnBackend:
    async def start(self, reports: fanwire.backends.Reports) -> None:
        reports.ready()
        reports.message(b"a", b"x")
    async def subscribe(self, name: bytes, is_pattern: bool) -> None: ...
    async def unsubscribe(self, name: bytes, is_pattern: bool) -> None: ...
    async def publish(self, channel: bytes, payload: bytes) -> int:
        return 0
    async def numsub(self, channels: Sequence[bytes]) -> Sequence[int]:
        return [0] * len(channels)
    async def close(self) -> None: ...

async def carried() -> int:
    own: fanwire.backends.Backend = OwnBackend()
    fanwire.Client(backend=own).close()
    fanwire.Engine(backend=redis.Redis()).close()
    async with fanwire.open(backend=own) as bus, fanwire.connect(backend=redis.asyncio.Redis()) as other:
        return await bus.publish("a", "x") + await other.publish("a", "x")

async def main() -> int:
    async with fanwire.connect("memory://x", port=1, namespace="a", on_event=print) as bus:
        stream = bus.subscribe("chat")
        await stream.ready
        handled: fanwire.Subscription = bus.psubscribe(b"room:*", on_message, on_event=lambda event: print(event.kind))
        handled.unsubscribe()
        async for message in stream:
            text: str = message.text
            pattern: str | None = message.pattern
            print(text, pattern)
        async for item in stream.events():
            if isinstance(item, fanwire.Event):
                count: int | None = item.count
                print(count)
        clean_text: str = fanwire.clean_json("{}")
        clean_bytes: bytes = fanwire.clean_json(b"{}")
        print(clean_text, clean_bytes)
        receivers: int = await bus.publish("chat", {"any": "value"})
        bus.set_credentials("alice", None)
        health: fanwire.Health = bus.health()
        verdict: fanwire.Verdict = health.verdict
        silence: int | None = health.silence_ms
        reason: fanwire.FanwireError | None = health.error
        print(verdict, silence, reason, bus.metrics("json"), bus.metrics(format="prometheus"))
    async with fanwire.open(port=1, tls=None, log_level="debug", inbox_bytes="1MiB", tls_ca_file=Path("ca.pem")) as bus:
        await bus.opened
        async with bus.subscribe("chat", on_message) as subscription, bus.subscribe("chat", on_event=on_event) as stream:
            subscription.close()
            print(await anext(stream))
    async with fanwire.Engine("memory://x", overflow="conflate") as engine:
        light: fanwire.Bus = engine.bus()
        fanwire.Client("memory://x", codec={"encode": str, "decode": bytes.decode}).close()
        fanwire.open(codec="msgpack")
        sent: int = await light.publish("chat", "x")
        print(sent)
    try:
        bus = await fanwire.connect()
    except fanwire.ConnectFailedError as error:
        status: int = error.status
        print(status, error.retryable, error.name)
    except fanwire.TimeoutError:
        pass
    return receivers

async def faces(bus: fanwire.Bus) -> None:
    backend = fanwire.broadcaster.FanwireBackend("redis://h", inbox_count=10)
    await backend.subscribe("chat")
    event: broadcaster.Event = await backend.next_published()
    await broadcaster.Broadcast(backend=fanwire.broadcaster.RedisBackend(conn=bus)).publish("chat", event.message)
    fanwire.socketio.FanwireManager("redis://h", write_only=True, publish_timeout_ms=10)
    fanwire.socketio.AsyncRedisManager(fanwire.Engine("redis://h"), channel="c", redis_options={"db": 1})

    async def on_topic(topic: str, data: bytes) -> None: ...
    pubsub: fanwire.pondsocket.PubSub = fanwire.pondsocket.FanwirePubSub("redis://h", inbox_count=10)
    await pubsub.subscribe("chat.*", on_topic)
    try:
        await fanwire.pondsocket.RedisPubSub(bus).publish("chat", b"x")
    except fanwire.pondsocket.PondError as error:
        code: int = error.code
        print(code)

def on_loss(loss: Loss) -> None:
    missed: int | None = loss.count
    print(loss.reason == "expired", loss.channel, loss.group, missed, loss.error)

async def channel_layer() -> None:
    layer = FanwireChannelLayer(["redis://h", ("h", 6379)], on_loss=on_loss, on_reconnect="back", offline="fail")
    name: str = await layer.new_channel()
    await layer.group_add("g", name)
    payload: bytes = layer.serialize(await layer.receive(name))
    print(payload, [engine.health().ok for engine in layer.engines()])

class OwnJson:
    def dumps(self, value: object, /) -> bytes:
        return b"{}"
    def loads(self, text: str, /) -> object:
        return {}

async def with_json(own: fanwire.Json) -> None:
    fanwire.open(json=orjson)
    fanwire.connect(json=msgspec.json, codec="json")
    fanwire.Client(json=json).close()
    fanwire.Client(json=own).close()
    async with fanwire.Engine(json=(orjson.dumps, orjson.loads)) as engine, engine.bus().request("a", 1) as request:
        async for reply in request:
            print(reply.json())

def given_own_json() -> fanwire.Engine:
    return fanwire.Engine(json=OwnJson())

def blocking() -> None:
    with fanwire.Client(wait=False, password=None) as client:
        client.wait_connected(timeout=1)
    with fanwire.Client("memory://x", db=1) as client:
        stream = client.subscribe("chat")
        stream.wait_ready(timeout=5)
        for message in stream:
            data: bytes = message.data
            print(data, stream.get(timeout=1).channel_bytes)
        count: int = client.publish("chat", b"x", timeout=1.5)
        stats: dict[str, int] = client.stats()
        p99: int | None = client.latency().delivery.percentile(99)
        print(p99, client.health().ok)
        print(count, stats, client.connected, fanwire.__version__, fanwire.settings()[0].help)
'''

MISTAKES = '''
import fanwire

async def main() -> None:
    async with fanwire.connect("memory://x") as bus:
        wrong: str = await bus.publish("chat", "x")
        bus.subscribe(7)
        async for message in bus.subscribe("chat", print):
            pass
    fanwire.open(conect_timeout_ms=5)
    await fanwire.connect(port="6379")
    fanwire.Client(overflow="drop")
    fanwire.Engine(tls="yes")
    fanwire.effective_settings(prot=1)
    fanwire.connect().subscribe("chat")
    await bus.publish("chat", "x", 5)
    fanwire.open(codec="jsn")
    fanwire.open(json="orjson")
    fanwire.Client(json=(len,))
'''


def mypy(tmp_path, *arguments):
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_the_package_itself(tmp_path):
    done = mypy(tmp_path, "-p", "fanwire")
    assert done.returncode == 0, done.stdout


def test_a_user_of_the_package(tmp_path):
    path = tmp_path / "user_code.py"
    path.write_text(USER_CODE)
    done = mypy(tmp_path, str(path))
    assert done.returncode == 0, done.stdout


def test_mistakes_are_found(tmp_path):
    path = tmp_path / "mistakes.py"
    path.write_text(MISTAKES)
    done = mypy(tmp_path, str(path))
    assert done.stdout.count("error:") == 13, done.stdout


def test_pyright_in_strict_mode_accepts_right_use(tmp_path):
    path = tmp_path / "user.py"
    path.write_text(f"# pyright: strict, reportUnusedImport=false\n{USER_CODE}")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# pybind11's own metaclass and constructors; names that are only types; bases that cannot be combined.
NO_STUB_TELLS = r"""
fanwire\._native\.(Broker|Engine|Inbox|Options|Outcomes|Request|Subscription|Waker)
fanwire\._native\.(Request|Subscription)\.__init__
fanwire\._native\.(RawEnvelope|RawEvent|RawHealth|Undecodable)
fanwire\._native\.Receiver
"""


def test_the_stubs_are_those_of_the_extension(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text(NO_STUB_TELLS)
    command = [sys.executable, "-m", "mypy.stubtest", "fanwire._native", "fanwire.errors", "--concise"]
    command += ["--allowlist", str(allowed), "--ignore-unused-allowlist"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_settings_have_the_types_of_the_engines_table():
    from fanwire._setting_types import Path, Settings, Size

    def type_of(setting):
        if setting.name == "tls_verify":
            return bool | typing.Literal["ca"]
        if setting.type == "enum":
            return typing.Literal[*setting.range.split("|")]
        if setting.type == "string":
            return Path if setting.name.endswith(("_path", "_file")) else str
        return {"integer": int, "size": Size, "boolean": bool, "number": float}[setting.type]

    expected = {setting.name: type_of(setting) | None for setting in fanwire.settings()}
    assert typing.get_type_hints(Settings) == expected


def test_the_package_says_that_it_is_typed():
    folder = pathlib.Path(fanwire.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_native.pyi").exists()


def test_the_stub_of_the_extension_lists_what_is_in_it():
    import ast

    from fanwire import _native

    stub = ast.parse(pathlib.Path(_native.__file__).with_name("_native.pyi").read_text())
    names = {node.name: node for node in stub.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    constants = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert set(names) | constants == {name for name in dir(_native) if not name.startswith("_")}
    for name, node in names.items():
        if isinstance(node, ast.ClassDef):
            members = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
            members = {member for member in members if not member.startswith("_")}
            actual = {member for member in vars(getattr(_native, name)) if not member.startswith("_")}
            assert members == {member for member in actual if "pybind11" not in member}


def test_words_are_those_of_the_engines_tables():
    from fanwire import _native
    from fanwire._base_bus import EngineState
    from fanwire._events import Kind, Reason
    from fanwire._health import Latencies, Verdict
    from fanwire._subscription import State

    not_told = {"message", "published", "numsub", "reply", "request_done"}  # those have ways of their own
    assert set(typing.get_args(Kind)) == set(_native.EVENT_KINDS.values()) - not_told | {"undecodable"}
    assert list(typing.get_args(Reason)) == list(_native.GAP_REASONS.values())
    assert list(typing.get_args(State)) == list(_native.SUBSCRIPTION_STATES.values())
    assert list(typing.get_args(EngineState)) == list(_native.ENGINE_STATES.values())
    assert [str(verdict) for verdict in Verdict] == list(_native.HEALTH_VERDICTS.values())
    assert set(typing.get_type_hints(Latencies)) == set(_native.LATENCY_KINDS)
    assert set(_native.METRICS_FORMATS) == {"json", "prometheus"}
