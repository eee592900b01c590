"""`async with` and `with`: what is open within the block, and over at its end."""

import contextlib

import fanwire
import pytest
from conftest import until, within


async def test_many_subscriptions_in_one_block(redis, raw):
    """As many as there are, each confirmed; all ended when the block is left, also by an exception."""
    names = [f"group-{number}" for number in range(20)]
    async with fanwire.connect(redis.url, unsubscribe_linger_ms=0, namespace="") as bus:
        with pytest.raises(LookupError):
            async with contextlib.AsyncExitStack() as group:
                streams = [await group.enter_async_context(bus.subscribe(name)) for name in names]
                assert await within(bus.numsub(names)) == [1] * 20
                raise LookupError
        assert {stream.state for stream in streams} <= {"ended", "active"}
        for stream in streams:
            with pytest.raises(fanwire.UnsubscribedError):
                stream.unsubscribe()
        await until(lambda: bus.stats()["subscriptions"] == 0)


async def test_a_request(memory_url):
    async with fanwire.open(memory_url) as bus, bus.subscribe("a", lambda message: message.reply("yes")):
        async with bus.request("a", "?", expect=5, timeout=None) as request:
            assert (await within(anext(request))).text == "yes"
        with pytest.raises(fanwire.UnsubscribedError, match="cancelled"):
            await within(anext(request))
        assert request.missing == 4


async def test_a_request_that_is_over(memory_url):
    """Ending it again is no error, in any order."""
    async with fanwire.open(memory_url) as bus, bus.subscribe("a", lambda message: message.reply("yes")):
        async with bus.request("a", "?") as request:
            assert [reply.text async for reply in request] == ["yes"]
        request.close()
    request.close()


def test_a_request_of_a_client(memory_url):
    with fanwire.Client(memory_url) as client, client.subscribe("a", lambda message: message.reply("yes")) as answering:
        answering.wait_ready()
        with client.request("a", "?", expect=5, timeout=None) as request:
            assert next(request).text == "yes"
        with pytest.raises(fanwire.UnsubscribedError, match="cancelled"):
            next(request)
        assert request.missing == 4
        request.close()
        with client.request("a", "?") as request:
            assert [reply.text for reply in request] == ["yes"]
    request.close()


async def test_a_light_bus(memory_url):
    async with fanwire.Engine(memory_url) as engine:
        async with engine.bus() as light, light.subscribe("a"):
            assert await within(light.publish("a", "x")) == 1
        assert engine.state == "connected" and engine.bus() is not light
        await until(lambda: engine.stats()["subscriptions"] == 0)
    assert engine.state == "closed"


async def test_the_faces(redis, channel):
    broadcaster = pytest.importorskip("fanwire.broadcaster")
    channels = pytest.importorskip("fanwire.channels")
    pondsocket = pytest.importorskip("fanwire.pondsocket")
    async with broadcaster.FanwireBackend(redis.url) as backend:
        await backend.subscribe(channel)
        await backend.publish(channel, "x")
        assert (await within(backend.next_published())).message == "x"
    async with channels.FanwireChannelLayer([redis.url]) as layer:
        name = await layer.new_channel()
        await layer.send(name, {"type": "x"})
        assert await within(layer.receive(name)) == {"type": "x"}
        [engine] = layer.engines()
    assert engine.state == "closed" and layer.channels == {}
    async with pondsocket.FanwirePubSub(redis.url) as pubsub:
        await pubsub.publish(channel, b"x")
    with pytest.raises(pondsocket.PubSubClosedError):
        await pubsub.publish(channel, b"x")
