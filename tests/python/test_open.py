"""Opening at once: open(), Client(wait=False), and what holds before the first connection."""

import asyncio
import gc
import socket
import warnings

import fanwire
import pytest
from conftest import DEADLINE_S, until, until_blocking, within
from redis_server import free_port

FAST = {"max_reconnect_delay_ms": 50, "reconnect_delay_ms": 20}


@pytest.fixture
def silent_url():
    """Of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def down_redis(own_redis):
    own_redis.kill()
    return own_redis


async def test_a_bus_at_once(url, channel):
    events = []
    async with fanwire.open(url, on_event=lambda event: events.append(event.kind)) as bus:
        assert isinstance(bus, fanwire.Bus)
        stream = bus.subscribe(channel)
        await within(bus.opened)
        await within(bus.opened)
        await within(stream.ready)
        assert await within(bus.publish(channel, "x")) == 1
        assert (await within(anext(stream))).text == "x"
        assert bus.connected
        await until(lambda: events == ["connected"])  # the first time as well


async def test_without_async_with(memory_url):
    bus = fanwire.open(memory_url)
    await within(bus.opened)
    await within(bus.close())


async def test_what_became_of_the_first_attempt(own_redis):
    own_redis.kill()
    async with fanwire.open(own_redis.url, **FAST) as bus:
        for _ in range(2):
            with pytest.raises(fanwire.ConnectFailedError, match="refused"):
                await within(bus.opened)
        await asyncio.to_thread(own_redis.start)
        await until(lambda: bus.connected)  # it goes on by itself


async def test_many_wait_for_the_first_attempt_and_one_gives_up(silent_url):
    bus = fanwire.open(silent_url)

    async def wait():
        await bus.opened

    waiting = [asyncio.ensure_future(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    await within(bus.close())
    results = await within(asyncio.gather(*waiting, return_exceptions=True))
    assert [type(result) for result in results] == [asyncio.CancelledError] + [fanwire.ClosedError] * 2
    with pytest.raises(fanwire.ClosedError):
        await bus.opened


async def test_nobody_looks_at_the_first_attempt():
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    events = []
    async with fanwire.open(f"redis://127.0.0.1:{free_port()}", on_event=events.append, **FAST):
        await until(lambda: events)
    gc.collect()
    await asyncio.sleep(0)
    assert isinstance(events[0].error, fanwire.ConnectFailedError) and reports == []


async def test_the_offline_rules_hold_before_the_first_connection(down_redis, channel):
    async with fanwire.open(down_redis.url, **FAST) as bus, fanwire.open(down_redis.url, offline="fail") as strict:
        stream = bus.subscribe(channel)
        sent = [bus.publish("elsewhere", str(number)) for number in range(3)]
        assert stream.state == "pending"
        with pytest.raises(fanwire.NotConnectedError):
            await within(strict.publish(channel, "x"))
        with pytest.raises(fanwire.NotConnectedError):
            strict.publish_nowait(channel, "x")
        await asyncio.to_thread(down_redis.start)
        assert await within(asyncio.gather(*sent)) == [0, 0, 0]
        await within(stream.ready)


async def test_close_while_a_server_is_silent(silent_url):
    async with fanwire.open(silent_url, connect_timeout_ms=600_000) as bus:
        stream = bus.subscribe("a")
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await within(waiting)


async def test_giving_up_connect_closes_what_it_opened(silent_url):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await fanwire.connect(silent_url, connect_timeout_ms=600_000)


async def test_connect_hears_the_first_connection_as_an_event(url):
    events = []
    async with fanwire.connect(url, on_event=lambda event: events.append(event.kind)):
        assert events == ["connected"]


@pytest.mark.parametrize("open_bus", [fanwire.open, fanwire.connect, fanwire.Client, fanwire.Engine])
@pytest.mark.parametrize(
    "settings, error",
    [
        ({"conect_timeout_ms": 5}, fanwire.UnknownOptionError),
        ({"port": "many"}, fanwire.InvalidOptionError),
        ({"tls_cert_file": "a.pem"}, fanwire.FanwireError),  # only together with others is it right
        ({"on_event": 7}, fanwire.InvalidArgumentError),
    ],
)
async def test_settings_are_checked_at_the_call(open_bus, settings, error):
    with pytest.raises(error):
        open_bus("redis://127.0.0.1", **settings)


async def test_a_wrong_name_comes_with_the_right_one():
    with pytest.raises(fanwire.UnknownOptionError, match='did you mean "connect_timeout_ms"'):
        fanwire.connect(conect_timeout_ms=5)


# ---- connect() used as if it were a bus


def test_connect_is_no_bus_yet():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connecting = fanwire.connect("memory://")
        for use in (lambda: connecting.subscribe("a"), lambda: connecting.publish("a", "x"), lambda: connecting.close):
            with pytest.raises(AttributeError, match="await fanwire.connect"):
                use()
        with pytest.raises(TypeError, match="async with"):
            with connecting:
                pass
        del connecting
    assert caught == []


async def test_within_async_with_the_bus_is_what_as_gives():
    connecting = fanwire.connect("memory://")
    async with connecting as bus:
        with pytest.raises(AttributeError, match="async with fanwire.connect"):
            connecting.subscribe("a")
        await within(bus.subscribe("a").ready)


def test_a_connect_that_nobody_awaits_warns():
    with pytest.warns(RuntimeWarning, match="never awaited"):
        fanwire.connect("memory://")


async def test_a_connect_that_is_awaited_twice(memory_url):
    connecting = fanwire.connect(memory_url)
    async with await connecting:
        with pytest.raises(RuntimeError, match="again"):
            await connecting


# ---- Client


def test_a_client_at_once(down_redis, channel):
    with fanwire.Client(down_redis.url, wait=False, **FAST) as client:
        with pytest.raises(fanwire.ConnectFailedError):
            client.wait_connected(DEADLINE_S)
        stream = client.subscribe(channel)
        assert stream.state == "pending"
        client.publish_nowait("elsewhere", "queued")
        down_redis.start()
        assert client.publish("elsewhere", "x") == 0
        stream.wait_ready()
        until_blocking(lambda: client.connected)
        client.wait_connected()
        until_blocking(lambda: client.stats()["publish_ok"] == 2)


def test_a_client_that_does_not_queue(down_redis):
    with fanwire.Client(down_redis.url, wait=False, offline="fail") as client:
        with pytest.raises(fanwire.NotConnectedError):
            client.publish("a", "x")


def test_a_client_at_once_of_a_silent_server(silent_url):
    with fanwire.Client(silent_url, wait=False, connect_timeout_ms=600_000) as client:
        with pytest.raises(fanwire.TimeoutError):
            client.wait_connected(0.01)
        assert not client.connected
