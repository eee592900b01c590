"""What handlers and iterations hear besides messages, in both interfaces: of subscriptions and of the connection."""

import asyncio

import fanwire
import pytest
from conftest import until, until_blocking, within
from fake_server import CountingServer
from redis_server import RawConnection, RedisServer

FAST = {"max_reconnect_delay_ms": 50, "reconnect_delay_ms": 20}


def told(items):
    """Messages as their text, gaps with what they say, other events as their kind."""
    shown = []
    for item in items:
        if isinstance(item, fanwire.Message):
            shown.append(item.text)
        elif item.kind == "gap":
            shown.append((item.kind, item.reason, item.count))
        else:
            shown.append(item.kind)
    return shown


OUTAGE = ["active", "before", "lost", ("gap", "reconnect", None), "resumed", "after"]


def check_outage(items):
    assert told(items) == OUTAGE
    lost = items[2]
    assert isinstance(lost.error, fanwire.FanwireError) and str(lost.error)
    assert lost.error.retryable


def check_connection(events):
    """Of one outage in which at least one attempt has failed."""
    kinds = [event.kind for event in events]
    assert kinds[:3] == ["connected", "disconnected", "reconnecting"] and kinds[-1] == "connected"
    rest = kinds[3:-1]
    assert rest == ["error", "reconnecting"] * (len(rest) // 2) and rest
    for event in events:
        if event.kind == "reconnecting":
            assert event.delay is not None and 0 < event.delay <= 0.05
            assert event.error is None
        elif event.kind in ("disconnected", "error"):
            assert isinstance(event.error, fanwire.FanwireError) and str(event.error)
            assert event.will_reconnect is True
        else:
            assert (event.error, event.will_reconnect) == (None, False)
    attempts = [event.count for event in events if event.kind == "reconnecting"]
    assert attempts == list(range(1, len(attempts) + 1))
    assert isinstance(next(event for event in events if event.kind == "error").error, fanwire.ConnectFailedError)


async def test_an_outage(own_redis):
    of_bus, of_plain, of_async, of_stream, plain, awaited = [], [], [], [], [], []

    async def handler(message):
        awaited.append(message)
        of_async.append(message)

    def plain_handler(message):
        plain.append(message)
        of_plain.append(message)

    async with fanwire.connect(own_redis.url, on_event=of_bus.append, **FAST) as bus:
        stream = bus.subscribe("a", on_event=of_stream.append)
        subscriptions = [
            bus.subscribe("a", plain_handler, on_event=of_plain.append),
            bus.psubscribe("?", handler, on_event=of_async.append),
            stream,
        ]
        items = []

        async def iterate():
            async for item in stream.events():
                items.append(item)

        iteration = asyncio.ensure_future(iterate())
        for subscription in subscriptions:
            await within(subscription.ready)
        await bus.publish("a", "before")
        await until(lambda: len(plain) == len(awaited) == 1 and len(items) == 2)
        own_redis.kill()
        await until(lambda: any(event.kind == "error" for event in of_bus))
        await asyncio.to_thread(own_redis.start)
        await until(lambda: bus.connected and {subscription.state for subscription in subscriptions} == {"active"})
        await bus.publish("a", "after")
        await until(lambda: len(plain) == len(awaited) == 2 and len(items) == 6)
        for heard in items, of_plain, of_async:
            check_outage(heard)
        assert told(of_stream) == [item for item in told(items) if item not in ("before", "after")]
        check_connection(of_bus)
    await within(iteration)
    assert [heard[-1].kind for heard in (of_plain, of_async, of_stream)] == ["ended"] * 3
    assert isinstance(of_plain[-1].error, fanwire.ClosedError)


def test_an_outage_for_a_client(own_redis):
    of_client, of_plain, of_stream = [], [], []
    with fanwire.Client(own_redis.url, on_event=of_client.append, **FAST) as client:
        handled = client.subscribe("a", of_plain.append, on_event=of_plain.append)
        stream = client.psubscribe("?", on_event=of_stream.append)
        handled.wait_ready()
        stream.wait_ready()
        client.publish("a", "before")
        until_blocking(lambda: len(of_plain) == 2)
        own_redis.kill()
        until_blocking(lambda: any(event.kind == "error" for event in of_client))
        own_redis.start()
        until_blocking(lambda: client.connected and handled.state == stream.state == "active")
        client.publish("a", "after")
        events = stream.events()
        items = [next(events) for _ in range(6)]
        until_blocking(lambda: len(of_plain) == 6)
        check_outage(items)
        check_outage(of_plain)
        assert told(of_stream) == [item for item in told(items) if item not in ("before", "after")]
        until_blocking(lambda: of_client[-1].kind == "connected")
        check_connection(of_client)
    until_blocking(lambda: of_plain[-1].kind == "ended")
    assert list(events) == []
    assert of_stream[-1].kind == "ended"


def check_giving_up(events):
    assert [event.kind for event in events] == ["connected", "disconnected", "reconnecting", "error", "gave_up"]
    assert (events[1].will_reconnect, events[3].will_reconnect) == (True, False)
    assert events[4].count == 1


async def test_giving_up(own_redis):
    events = []
    async with fanwire.connect(own_redis.url, on_event=events.append, max_reconnect_attempts=1, **FAST) as bus:
        own_redis.kill()
        await until(lambda: any(event.kind == "gave_up" for event in events))
        assert not bus.connected
    check_giving_up(events)


def test_giving_up_for_a_client(own_redis):
    events = []
    with fanwire.Client(own_redis.url, on_event=events.append, max_reconnect_attempts=1, **FAST):
        own_redis.kill()
        until_blocking(lambda: any(event.kind == "gave_up" for event in events))
    check_giving_up(events)


@pytest.fixture
def strict_redis():
    """A Redis where alice may use but one channel."""
    server = RedisServer()
    with RawConnection(server.port) as raw:
        assert raw.command("ACL", "SETUSER", "alice", "on", ">pw", "+@all", "resetchannels", "&ws:open") == b"OK"
        server.admin = raw
        server.alice = f"redis://alice:pw@127.0.0.1:{server.port}"
        yield server
    server.stop()


def allow_all(server):
    assert server.admin.command("ACL", "SETUSER", "alice", "allchannels") == b"OK"


def check_refusal(items):
    """Refused, perhaps several times, then allowed."""
    assert told(items)[-2:] == ["active", "x"]
    assert set(told(items)[:-2]) == {"failed"}
    assert all(isinstance(item.error, fanwire.NoPermissionError) for item in items[:-2])


async def test_a_refusal_that_is_lifted(strict_redis):
    handled = []
    async with fanwire.connect(strict_redis.alice) as bus:
        stream = bus.subscribe("secret")
        bus.subscribe("secret", handled.append, on_event=handled.append)
        events = stream.events()
        items = [await within(anext(events))]
        assert items[0].kind == stream.state == "failed"
        allow_all(strict_redis)
        while items[-1].kind != "active":
            items.append(await within(anext(events)))
        assert await bus.publish("secret", "x") == 1
        items.append(await within(anext(events)))
        await until(lambda: len(handled) == len(items))
        check_refusal(items)
        check_refusal(handled)


def test_a_refusal_that_is_lifted_for_a_client(strict_redis):
    handled = []
    with fanwire.Client(strict_redis.alice) as client:
        stream = client.subscribe("secret")
        client.subscribe("secret", handled.append, on_event=handled.append)
        events = stream.events()
        items = [next(events)]
        assert items[0].kind == stream.state == "failed"
        allow_all(strict_redis)
        while items[-1].kind != "active":
            items.append(next(events))
        assert client.publish("secret", "x") == 1
        items.append(next(events))
        until_blocking(lambda: len(handled) == len(items))
        check_refusal(items)
        check_refusal(handled)


@pytest.fixture
def counting_redis():
    server = CountingServer()
    yield server
    server.stop()


def check_output_buffer(items, stats):
    assert told(items) == ["active", "lost", ("gap", "output_buffer", None), "resumed"]
    assert stats["output_buffer_kills"] == 1


async def test_a_gap_by_redis_output_buffer(counting_redis):
    async with fanwire.connect(counting_redis.url, **FAST) as bus:
        stream = bus.subscribe("a")
        await within(stream.ready)
        counting_redis.kill_for_output_buffer()
        events = stream.events()
        check_output_buffer([await within(anext(events)) for _ in range(4)], bus.stats())


def test_a_gap_by_redis_output_buffer_for_a_client(counting_redis):
    with fanwire.Client(counting_redis.url, **FAST) as client:
        stream = client.subscribe("a")
        stream.wait_ready()
        counting_redis.kill_for_output_buffer()
        events = stream.events()
        check_output_buffer([next(events) for _ in range(4)], client.stats())


def test_conflate_keeps_the_last_of_each_channel(memory_url):
    with fanwire.Client(memory_url, overflow="conflate", inbox_count=2) as client:
        stream = client.psubscribe("*")
        events = stream.events()
        assert next(events).kind == "active"
        for number in range(10):
            client.publish("a", f"a{number}")
            client.publish("b", f"b{number}")
        client.publish("c", "c0")
        with stream:
            items = []
            while not items or told(items)[-1] != "c0":
                items.append(next(events))
    texts = [item.text for item in items if isinstance(item, fanwire.Message)]
    assert sum(item.count for item in items if isinstance(item, fanwire.Event)) + len(texts) == 21
    assert texts[-1] == "c0" and set(texts) <= {"a9", "b9", "c0"}
