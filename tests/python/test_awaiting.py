"""Whatever returns something to be awaited is awaited: handlers and on_event of any kind, in order, failures reported."""

import asyncio
import functools

import fanwire
import pytest
from conftest import until, until_blocking, within


class Callable:
    async def __call__(self, item):
        await self.method(item)

    def __init__(self, function):
        self._function = function

    async def method(self, item):
        await self._function(item)


class Awaitable:
    def __init__(self, function):
        self._function = function

    def __await__(self):
        return self._function().__await__()


# Each makes of an async function something that can be called and has to be awaited; the last four do not look like it.
WAYS = {
    "function": lambda function: function,
    "partial": lambda function: functools.partial(function),
    "method": lambda function: Callable(function).method,
    "object": Callable,
    "partial of an object": lambda function: functools.partial(Callable(function)),
    "lambda": lambda function: lambda item: function(item),
    "awaitable": lambda function: lambda item: Awaitable(lambda: function(item)),
    "sometimes": lambda function: lambda item: None if getattr(item, "text", None) == "0" else function(item),
    "wrapped": lambda function: functools.lru_cache(maxsize=0)(function),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@ways
async def test_handlers(url, channel, way):
    got, running = [], 0

    async def handler(message):
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.001)
        got.append(message.text)
        running -= 1

    async with fanwire.open(url) as bus:
        await within(bus.subscribe(channel, way(handler)).ready)
        others = []
        await within(bus.subscribe(channel, lambda message: others.append(message.text)).ready)
        for number in range(20):
            await within(bus.publish(channel, str(number)))
        await until(lambda: len(others) == 20)
    expected = [str(number) for number in range(20)]
    assert others == expected
    assert got == (expected[1:] if way is WAYS["sometimes"] else expected)  # also what had not been handled at close()


@ways
async def test_on_event_of_a_connection(own_redis, way):
    told = []

    async def on_event(event):
        told.append(event.kind)
        await asyncio.sleep(0.001)
        told.append("then")

    async with fanwire.open(own_redis.url, on_event=way(on_event), reconnect_delay_ms=20) as bus:
        await within(bus.opened)
        own_redis.kill()
        await until(lambda: "reconnecting" in told)
        await asyncio.to_thread(own_redis.start)
        await until(lambda: told.count("connected") == 2)
    assert told[:4] == ["connected", "then", "disconnected", "then"]
    assert told[1::2] == ["then"] * (len(told) // 2) and "then" not in told[::2]


@ways
@pytest.mark.parametrize("consumer", ["plain", "async", "stream", "batches", "events"])
async def test_on_event_of_a_subscription(memory_url, way, consumer):
    """In order with the messages: what comes behind an event waits until on_event is done with it."""
    told, items = [], []

    async def on_event(event):
        told.append(event.kind)
        items.append(event.kind)
        await asyncio.sleep(0.001)
        items.append("then")

    def handler(message):
        items.append(message.text)

    async def async_handler(message):
        items.append(message.text)

    async def consume(subscription):
        if consumer == "stream":
            async for message in subscription:
                items.append(message.text)
        elif consumer == "batches":
            async for batch in subscription.batches():
                items.extend(message.text for message in batch)
        elif consumer == "events":
            async for item in subscription.events():
                items.extend([item.text] if isinstance(item, fanwire.Message) else [])

    async with fanwire.open(memory_url, inbox_count=10) as bus:
        given = {"plain": handler, "async": async_handler}.get(consumer)
        subscription = bus.subscribe("a", given, on_event=way(on_event))
        for number in range(100):
            bus.publish_nowait("a", str(number))
        consuming = asyncio.ensure_future(consume(subscription))
        await until(lambda: items[-1:] == ["99"])
    await within(consuming)
    await until(lambda: items[-1:] == ["then"])
    assert told[0] == "active" and told[-1] == "ended" and "gap" in told
    for index, item in enumerate(items):
        if item in ("active", "gap", "ended"):
            assert items[index + 1] == "then"
    texts = [int(item) for item in items if item.isdigit()]
    assert texts == sorted(texts)


@ways
async def test_failures_are_reported_and_delivery_goes_on(memory_url, way):
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    got = []

    async def handler(message):
        got.append(message.text)
        await asyncio.sleep(0)
        if message.text == "2":
            raise asyncio.CancelledError  # as of something cancelled that it looked at
        raise LookupError(message.text)

    async def on_event(event):
        await asyncio.sleep(0)
        raise LookupError(event.kind)

    async with fanwire.open(memory_url, on_event=way(on_event)) as bus:
        await within(bus.opened)
        await within(bus.subscribe("a", way(handler), on_event=way(on_event)).ready)
        for number in range(4):
            await within(bus.publish("a", str(number)))
        await until(lambda: got[-1:] == ["3"])
    errors = [str(report["exception"]) for report in reports]
    expected = {"connected", "active", "1", "", "3", "ended"} | ({"0"} if "0" in got else set())
    assert expected <= set(errors)
    assert all("raised" in report["message"] for report in reports)


async def test_a_future_is_not_waited_for(memory_url):
    """It goes on by itself: a handler may return what publish() gives."""
    got = []
    never = asyncio.get_running_loop().create_future()

    def handler(message):
        got.append(message.text)
        return never if message.text == "never" else bus.publish("b", message.text)

    async with fanwire.open(memory_url) as bus:
        await within(bus.subscribe("a", handler).ready)
        for text in ("never", "x", "y"):
            await within(bus.publish("a", text))
        await until(lambda: got == ["never", "x", "y"])


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "conflate"])
async def test_what_waits_is_bounded(memory_url, overflow):
    got, gaps = [], []
    gate = asyncio.Event()

    async def handle(message):
        await gate.wait()
        got.append(message.text)

    def on_event(event):
        if event.kind == "gap":
            gaps.append(event)

    async with fanwire.open(memory_url, inbox_count=10, overflow=overflow) as bus:
        await within(bus.subscribe("a", lambda message: handle(message), on_event=on_event).ready)
        for number in range(200):
            await within(bus.publish("a", str(number)))  # one by one: none is dropped in the engine
        gate.set()
        await until(lambda: len(got) + sum(gap.count for gap in gaps) == 200)
    assert all(gap.reason == "overflow" for gap in gaps)
    wanted = {
        "drop_oldest": ["0"] + [str(number) for number in range(190, 200)],
        "drop_newest": [str(number) for number in range(11)],
        "conflate": ["0"] + [str(number) for number in range(1, 10)] + ["199"],
    }
    assert got == wanted[overflow]


async def test_unsubscribing_drops_what_waits(memory_url):
    got, kinds = [], []
    gate = asyncio.Event()

    async def handle(message):
        got.append(message.text)
        await gate.wait()

    async with fanwire.open(memory_url) as bus:
        subscription = bus.subscribe(
            "a", lambda message: handle(message), on_event=lambda event: kinds.append(event.kind)
        )
        for number in range(10):
            await within(bus.publish("a", str(number)))
        await until(lambda: got)
        subscription.unsubscribe()
        gate.set()
        await until(lambda: "ended" in kinds)
    assert (got, kinds) == (["0"], ["active", "ended"])


@pytest.mark.parametrize("where", ["handler", "on_event", "connection"])
@ways
async def test_closing_from_what_is_awaited(memory_url, way, where):
    async def close(item):
        if not isinstance(item, fanwire.Event) or item.kind in ("active", "connected"):
            await asyncio.sleep(0)
            await bus.close()
            closed.append(item)

    async def nothing(item):
        await asyncio.sleep(0)

    closed = []
    chosen = {where: way(close)}
    bus = fanwire.open(memory_url, on_event=chosen.get("connection"))
    bus.subscribe("a", chosen.get("handler", nothing), on_event=chosen.get("on_event"))
    await within(bus.publish("a", "x"))
    await until(lambda: closed)
    await within(bus.close())
    assert repr(bus).endswith("closed>")


@pytest.mark.parametrize("kind", ["plain", "async", "lambda"])
async def test_the_end_is_told_when_nobody_keeps_the_subscription(url, channel, kind):
    import gc

    kinds = []

    async def handler(message):
        pass

    handlers = {"plain": lambda message: None, "async": handler, "lambda": lambda message: handler(message)}
    async with fanwire.open(url) as bus:
        await within(bus.subscribe(channel, handlers[kind], on_event=lambda event: kinds.append(event.kind)).ready)
        await within(bus.publish(channel, "x"))
        gc.collect()
    assert kinds == ["active", "ended"]


def test_the_end_is_told_when_nobody_keeps_the_subscription_of_a_client(url, channel):
    kinds = []
    with fanwire.Client(url) as client:
        client.subscribe(channel, print, on_event=lambda event: kinds.append(event.kind)).wait_ready()
    assert kinds == ["active", "ended"]


# ---- A Client cannot await


def test_a_client_refuses_async_functions(memory_url):
    async def function(item):
        pass

    for given in (function, functools.partial(function), Callable(function)):
        with pytest.raises(fanwire.InvalidArgumentError, match="async"):
            fanwire.Client(memory_url, on_event=given)
        with fanwire.Client(memory_url) as client:
            with pytest.raises(fanwire.InvalidArgumentError, match="async"):
                client.subscribe("a", given)
            with pytest.raises(fanwire.InvalidArgumentError, match="async"):
                client.subscribe("a", on_event=given)


def test_a_client_reports_what_turns_out_to_be_async(memory_url, caplog):
    async def function(item):
        raise AssertionError("never awaited")

    with fanwire.Client(memory_url, on_event=lambda event: function(event)) as client:
        client.subscribe("a", lambda message: function(message), on_event=lambda event: function(event)).wait_ready()
        client.publish("a", "x")
        until_blocking(lambda: len(caplog.records) == 3)
        stream = client.subscribe("a", on_event=lambda event: function(event))
        with pytest.raises(fanwire.InvalidArgumentError, match="coroutine"):
            stream.get(1)
    assert "coroutine" in caplog.text


# ---- Ending a subscription quietly, and async with


@pytest.mark.parametrize("handler", [None, print], ids=["stream", "handler"])
async def test_close_of_a_subscription(url, channel, handler):
    async with fanwire.open(url) as bus:
        subscription, left = bus.subscribe(channel, handler), bus.subscribe(channel, handler)
        for _ in range(3):
            subscription.close()
        await within(subscription.aclose())
        assert subscription.state == "ended"
    left.close()


def test_close_of_a_clients_subscription(url, channel):
    with fanwire.Client(url) as client:
        stream, left = client.subscribe(channel), client.subscribe(channel, print)
        for _ in range(3):
            stream.close()
        assert list(stream) == []
    left.close()


async def test_async_with_a_subscription(url, channel):
    async with fanwire.open(url) as bus:
        async with bus.subscribe(channel) as stream, bus.subscribe(channel, print) as handled:
            assert stream.state == handled.state == "active"
            assert await within(bus.publish(channel, "x")) == 1
            assert (await within(anext(stream))).text == "x"
            handled.unsubscribe()
        assert stream.state == handled.state == "ended"


async def test_async_with_a_subscription_that_is_given_up(own_redis):
    own_redis.kill()
    async with fanwire.open(own_redis.url) as bus:
        stream = bus.subscribe("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                async with stream:
                    raise AssertionError
        assert stream.state == "ended"
