"""Giving up, coming back by reconnect(), and the state of the connection."""

import asyncio

import fanwire
import pytest
from conftest import until, until_blocking, within

FEW = {"reconnect_delay_ms": 10, "max_reconnect_delay_ms": 20, "max_reconnect_attempts": 2}
SLOW = {"reconnect_delay_ms": 600_000, "max_reconnect_delay_ms": 600_000}


def kinds(events):
    return [event.kind for event in events]


async def test_giving_up_and_coming_back(own_redis):
    events, handled, of_stream = [], [], []
    async with fanwire.open(own_redis.url, on_event=events.append, **FEW) as bus:
        assert bus.state in ("connecting", "connected")
        await within(bus.opened)
        assert bus.state == "connected"
        await within(bus.subscribe("a", handled.append, on_event=handled.append).ready)
        stream = bus.subscribe("a", on_event=of_stream.append)
        await within(stream.ready)
        own_redis.kill()
        await until(lambda: "gave_up" in kinds(events))
        assert bus.state == "gave_up"
        gave_up = events[-1]
        assert gave_up.count == 2 and isinstance(gave_up.error, fanwire.ConnectFailedError)
        assert kinds(events[-2:]) == ["error", "gave_up"] and not events[-2].will_reconnect
        with pytest.raises(fanwire.NotConnectedError, match="gave up") as caught:
            await within(bus.publish("a", "x"))
        assert caught.value.may_have_happened is False
        await until(lambda: stream.state == "failed")

        await asyncio.to_thread(own_redis.start)
        bus.reconnect()
        await until(lambda: bus.state == "connected" and stream.state == "active")
        assert await within(bus.publish("a", "after")) == 1
        assert (await within(anext(stream))).text == "after"
        await until(lambda: isinstance(handled[-1], fanwire.Message))
    assert kinds(of_stream) == ["active", "lost", "failed", "gap", "resumed"][: len(of_stream)]
    assert bus.state == "closed"
    with pytest.raises(fanwire.ClosedError):
        bus.reconnect()


def test_giving_up_and_coming_back_for_a_client(own_redis):
    events = []
    own_redis.kill()
    with fanwire.Client(own_redis.url, wait=False, on_event=events.append, **FEW) as client:
        until_blocking(lambda: client.state == "gave_up")
        with pytest.raises(fanwire.ConnectFailedError):
            client.wait_connected()
        until_blocking(lambda: events and events[-1].kind == "gave_up")
        own_redis.start()
        client.reconnect()
        until_blocking(lambda: client.state == "connected")
        assert client.publish("a", "x") == 0
    assert client.state == "closed"


async def test_an_attempt_at_once(own_redis):
    """Instead of in ten minutes."""
    events = []
    own_redis.kill()
    async with fanwire.open(own_redis.url, on_event=events.append, **SLOW) as bus:
        with pytest.raises(fanwire.ConnectFailedError):
            await within(bus.opened)
        assert bus.state == "connecting"
        await asyncio.to_thread(own_redis.start)
        bus.reconnect()
        await until(lambda: bus.state == "connected" and "connected" in kinds(events))
        own_redis.kill()
        await until(lambda: bus.state == "reconnecting")
        await asyncio.to_thread(own_redis.start)
        bus.reconnect()
        await until(lambda: bus.state == "connected")


async def test_revived_by_use(own_redis):
    own_redis.kill()
    async with fanwire.open(own_redis.url, revive_on_use=True, offline="queue", **FEW) as bus:
        await until(lambda: bus.state == "gave_up")
        await asyncio.to_thread(own_redis.start)
        assert await within(bus.publish("a", "x")) == 0


async def test_of_an_engine(memory_url):
    async with fanwire.Engine(memory_url) as engine:
        bus = engine.bus()
        await within(bus.opened)
        assert engine.state == bus.state == "connected"
        engine.reconnect()  # nothing to do
        bus.reconnect()
        assert await within(bus.publish("a", "x")) == 0
