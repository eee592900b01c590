"""A client of the application's, or an object of its own, in the place of the engine's connections."""

import asyncio
import re

import fanwire
import pytest
import redis as redis_py
import redis.asyncio
import valkey.asyncio
from conftest import DEADLINE_S, until, until_blocking
from fanwire.backends import Backend, RedisBackend, backend_of
from redis_server import free_port

CLIENTS = {
    "redis": lambda port: redis.asyncio.Redis(port=port),
    "redis, text": lambda port: redis.asyncio.Redis(port=port, decode_responses=True),
    "redis, RESP3": lambda port: redis.asyncio.Redis(port=port, protocol=3),
    "redis, by URL": lambda port: redis.asyncio.from_url(f"redis://127.0.0.1:{port}/1", health_check_interval=1),
    "valkey": lambda port: valkey.asyncio.Valkey(port=port),
}


@pytest.fixture(params=CLIENTS)
def make_client(request):
    return CLIENTS[request.param]


class Memory:
    """A backend in this process, which can be told to fail."""

    def __init__(self):
        self.reports = None
        self.names = set()
        self.done = []
        self.error = None  # what the next call raises
        self.gate = None  # what publish() waits for
        self.is_closed = False

    async def start(self, reports):
        self.reports = reports
        reports.ready()

    async def subscribe(self, name, is_pattern):
        self.check()
        self.done.append(("subscribe", name, is_pattern))
        self.names.add((name, is_pattern))

    async def unsubscribe(self, name, is_pattern):
        self.done.append(("unsubscribe", name, is_pattern))
        self.names.discard((name, is_pattern))

    async def publish(self, channel, payload):
        self.done.append(("publish", channel, payload))
        if self.gate is not None:
            await self.gate.wait()
        self.check()
        receivers = 0
        for name, is_pattern in self.names:
            if not is_pattern and name == channel:
                self.reports.message(channel, payload)
                receivers += 1
            elif is_pattern and re.fullmatch(name.replace(b"*", b".*"), channel):
                self.reports.message(channel, payload, name)
                receivers += 1
        return receivers

    async def numsub(self, channels):
        self.check()
        return [int((channel, False) in self.names) for channel in channels]

    async def close(self):
        self.is_closed = True

    def check(self):
        error, self.error = self.error, None
        if error is not None:
            raise error


def kinds(events):
    return [event.kind for event in events]


async def test_a_client_carries_messages_both_ways(redis, raw, channel, make_client):
    client = make_client(redis.port)
    async with asyncio.timeout(DEADLINE_S), fanwire.open(backend=client, namespace="b") as bus:
        await bus.opened
        patterns = []
        async with bus.subscribe(channel) as stream:
            watcher = bus.psubscribe(f"{channel}*", patterns.append)
            await watcher.ready
            for value in ("text", b"\x00\xff", {"n": 1}):
                assert await bus.publish(channel, value) == 2
            assert raw.command("PUBLISH", f"b:{channel}", "foreign") == 2
            received = [await anext(stream) for _ in range(4)]
            assert [message.data for message in received] == [b"text", b"\x00\xff", b'{"n":1}', b"foreign"]
            assert received[0].channel == channel
            await until(lambda: len(patterns) == 4)
            assert patterns[1].pattern == f"{channel}*"
            assert await bus.numsub([channel, "nobody"]) == [1, 0]
            many = [bus.publish(channel, str(i)) for i in range(2500)]
            assert set(await asyncio.gather(*many)) == {2}
            assert [(await anext(stream)).text for _ in range(2500)] == [str(i) for i in range(2500)]
        watcher.unsubscribe()
        assert bus.health().verdict == "ok"
    assert not [name for name in raw.command("PUBSUB", "CHANNELS", f"b:{channel}*")]
    assert raw.command("PUBSUB", "NUMPAT") == 0
    assert await client.ping()  # it is the application's, and stays open
    await client.aclose()


async def test_requests(redis, channel, make_client):
    client = make_client(redis.port)
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=client) as bus:
        async with bus.subscribe(channel) as stream:
            asking = bus.request(channel, "?", expect=1)
            (await anext(stream)).reply("fine")
            assert [reply.text for reply in await asking] == ["fine"]
    await client.aclose()


async def test_redis_is_killed_and_started_again(own_redis, channel, make_client):
    client = make_client(own_redis.port)
    told = []
    async with asyncio.timeout(3 * DEADLINE_S), fanwire.open(backend=client, on_event=told.append) as bus:
        stream = bus.subscribe(channel)
        await stream.ready
        items = stream.events()
        assert (await anext(items)).kind == "active"
        for again in range(3):
            own_redis.kill()
            lost = await anext(items)
            assert lost.kind == "lost"
            assert isinstance(lost.error, fanwire.ConnectionLostError)
            waiting = bus.publish(channel, f"made while it was away {again}")
            own_redis.start()
            gap = await anext(items)
            assert (gap.kind, gap.reason, gap.count) == ("gap", "reconnect", None)
            assert (await anext(items)).kind == "resumed"
            assert await waiting == 1
            assert (await anext(items)).text == f"made while it was away {again}"
        assert kinds(told).count("connected") == 4
        assert kinds(told).count("disconnected") == 3
    await client.aclose()


async def test_a_connection_that_the_server_kills(redis, raw, channel):
    client = redis_py.asyncio.Redis(port=redis.port)
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=client) as bus:
        stream = bus.subscribe(channel)
        await stream.ready
        items = stream.events()
        await anext(items)
        raw.command("CLIENT", "KILL", "TYPE", "pubsub")
        assert [(await anext(items)).kind for _ in range(3)] == ["lost", "gap", "resumed"]
        assert await bus.publish(channel, "goes on") == 1
        assert (await anext(items)).text == "goes on"
    await client.aclose()


async def test_what_redis_refuses(own_redis, channel):
    own_redis.cli("ACL", "SETUSER", "bob", "on", ">pw", "resetchannels", "&ws:open", "+@all")
    client = redis_py.asyncio.Redis(port=own_redis.port, username="bob", password="pw")
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=client) as bus:
        with pytest.raises(fanwire.NoPermissionError, match="NOPERM|permission"):
            await bus.subscribe("closed").ready
        with pytest.raises(fanwire.NoPermissionError):
            await bus.publish("closed", "x")
        async with bus.subscribe("open") as stream:
            assert await bus.publish("open", "fine") == 1
            assert (await anext(stream)).text == "fine"
    await client.aclose()


async def test_no_server():
    port = free_port()
    client = redis_py.asyncio.Redis(port=port)
    with pytest.raises(fanwire.ConnectionLostError, match=str(port)):
        await fanwire.connect(backend=client)
    async with asyncio.timeout(DEADLINE_S), fanwire.open(backend=client, publish_timeout_ms=100) as bus:
        with pytest.raises(fanwire.ConnectionLostError):
            await bus.opened
        with pytest.raises(fanwire.TimeoutError):
            await bus.publish("a", "x")
    await client.aclose()


async def test_an_object_of_the_applications():
    memory = Memory()
    assert isinstance(memory, Backend)
    async with asyncio.timeout(DEADLINE_S), fanwire.open(backend=memory) as bus:
        got = []
        one, two = bus.subscribe("a", got.append), bus.psubscribe("a*", got.append)
        await asyncio.gather(one.ready, two.ready)
        assert await bus.publish("a", "x") == 2
        await until(lambda: len(got) == 2)
        assert {message.pattern for message in got} == {None, "a*"}
        assert await bus.numsub(["a", "b"]) == [1, 0]
        one.unsubscribe()
        await until(lambda: ("unsubscribe", b"ws:a", False) in memory.done)
        again = bus.subscribe("a")
        await again.ready
        assert memory.names == {(b"ws:a", False), (b"ws:a*", True)}
    assert memory.is_closed
    memory.reports.message(b"ws:a", b"too late")
    memory.reports.lost(RuntimeError("too late"))
    memory.reports.ready()


async def test_a_backend_that_misbehaves():
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        memory.error = ValueError("not today")
        with pytest.raises(fanwire.RedisError, match="ValueError: not today"):
            await bus.publish("a", "x")
        memory.error = ConnectionResetError("gone")
        with pytest.raises(fanwire.OutcomeUnknownError) as caught:
            await bus.publish("a", "x")
        assert caught.value.may_have_happened
        memory.error = fanwire.QueueFullError("full")
        with pytest.raises(fanwire.QueueFullError, match="full"):
            await bus.publish("a", "x")
        memory.error = KeyError("no")
        with pytest.raises(fanwire.RedisError):
            await bus.numsub(["a"])
        stream = bus.subscribe("a")
        await stream.ready
        memory.reports.ready()  # twice
        memory.reports.message(b"nobody wants this", b"x")
        items = stream.events()
        await anext(items)
        memory.error = RuntimeError("refused")
        memory.reports.lost(RuntimeError("away"))
        memory.reports.lost(RuntimeError("still away"))
        memory.reports.message(b"ws:a", b"while it is away")
        memory.reports.ready()
        assert (await anext(items)).kind == "lost"
        failed = await anext(items)  # and asked for again
        assert (failed.kind, str(failed.error)) == ("failed", "RuntimeError: refused")
        assert [(await anext(items)).kind for _ in range(2)] == ["gap", "resumed"]


async def test_publishes_keep_their_order_and_what_is_lost_on_the_way_is_unknown():
    memory = Memory()
    memory.gate = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        publishes = [bus.publish("a", str(i)) for i in range(3)]
        await until(lambda: memory.done)
        assert memory.done == [("publish", b"ws:a", b"0")]
        memory.reports.lost(RuntimeError("away"))
        for publish in publishes:
            with pytest.raises(fanwire.OutcomeUnknownError):
                await publish
        memory.gate.set()
        memory.reports.ready()
        await until(lambda: bus.connected)
        assert await bus.publish("a", "3") == 0
        assert memory.done[-1] == ("publish", b"ws:a", b"3")


async def test_a_backend_that_cannot_start():
    class Broken(Memory):
        async def start(self, reports):
            raise RuntimeError("no such thing")

    with pytest.raises(fanwire.ConnectionLostError, match="RuntimeError: no such thing"):
        await fanwire.connect(backend=Broken())


async def test_a_backend_that_cannot_close():
    class Stuck(Memory):
        async def close(self):
            raise RuntimeError("will not")

    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    bus = await fanwire.connect(backend=Stuck())
    await asyncio.wait_for(bus.close(), DEADLINE_S)
    assert [str(report["exception"]) for report in reports] == ["will not"]


async def test_a_cancelled_wait_leaves_nothing(redis, raw, channel):
    client = redis_py.asyncio.Redis(port=redis.port)
    async with asyncio.timeout(2 * DEADLINE_S), fanwire.connect(backend=client) as bus:
        for turns in range(100):
            task = asyncio.ensure_future(wait_for_one(bus, channel))
            for _ in range(turns % 17):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await until(lambda: not raw.command("PUBSUB", "CHANNELS", f"ws:{channel}"))
    await client.aclose()


async def wait_for_one(bus, channel):
    async with bus.subscribe(channel) as stream:
        await anext(stream)


def test_what_is_no_backend():
    class Half:
        async def start(self, reports): ...

    with pytest.raises(TypeError, match=r"Half, which has no subscribe, unsubscribe, publish, numsub, close\(\)"):
        backend_of(Half())

    class Other:
        pubsub = execute_command = None

    with pytest.raises(TypeError, match="Other is not a client of redis or valkey with a connection pool"):
        backend_of(Other())
    with pytest.raises(TypeError, match="must be a Backend"):
        backend_of("redis://")
    client = redis_py.asyncio.Redis()
    assert isinstance(backend_of(client), RedisBackend)


async def test_settings_and_limits_are_as_always():
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory, namespace="n", inbox_count=2) as bus:
        async with bus.subscribe("a") as stream:
            assert await bus.publish("a", "x") == 1
            assert ("publish", b"n:a", b"x") in memory.done
            assert (await anext(stream)).text == "x"
            for i in range(50):
                memory.reports.message(b"n:a", str(i).encode())
            until_blocking(lambda: bus.stats()["received"] == 51)  # the event loop takes none of them meanwhile
            items = stream.events()
            gap, *rest = [await anext(items) for _ in range(3)]
            assert (gap.kind, gap.reason, gap.count) == ("gap", "overflow", 48)
            assert [message.text for message in rest] == ["48", "49"]
        with pytest.raises(fanwire.MessageTooLargeError):
            await bus.publish("a", b"x" * (600 << 20))
