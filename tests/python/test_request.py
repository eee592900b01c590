"""Asking: numsub(), and requests with their replies."""

import asyncio
import threading

import fanwire
import pytest
from conftest import DEADLINE_S, until, within


# ---- numsub()


async def test_numsub(redis, channel):
    async with fanwire.open(redis.url) as one, fanwire.open(redis.url) as two:
        for bus in (one, two):
            await within(bus.subscribe(f"{channel}:a", print).ready)
        await within(one.subscribe(f"{channel}:b").ready)
        names = [f"{channel}:a", f"{channel}:b", f"{channel}:c".encode()]
        assert await within(one.numsub(names)) == [2, 1, 0]
        assert await within(two.numsub(tuple(reversed(names)))) == [0, 1, 2]
        assert await within(asyncio.gather(one.numsub(names[:1]), one.publish("x", "y"))) == [[2], 0]
        assert await within(one.numsub([])) == []
        with fanwire.Client(redis.url) as client:
            assert client.numsub(iter(names)) == [2, 1, 0]


@pytest.mark.parametrize(
    "channels, error",
    [
        ("one name", fanwire.InvalidArgumentError),
        ([1], fanwire.InvalidArgumentError),
        ([""], fanwire.InvalidChannelError),
        (["x"] * 1025, fanwire.LimitReachedError),
    ],
)
async def test_numsub_of_what_cannot_be(url, channels, error):
    async with fanwire.open(url) as bus, fanwire.Engine(url) as engine:
        with pytest.raises(error):
            await within(bus.numsub(channels))
        with pytest.raises(error):
            await asyncio.to_thread(engine.numsub, channels)


async def test_numsub_without_redis(own_redis):
    async with fanwire.open(own_redis.url) as bus:
        await within(bus.opened)
        own_redis.kill()
        await until(lambda: not bus.connected)
        with pytest.raises(fanwire.FanwireError):
            await within(bus.numsub(["a"]))


# ---- Requests


@pytest.fixture
async def responders(url, channel):
    """Three, each with a bus of its own; `channel` is answered by all of them."""
    name = url if url.startswith("redis:") else url  # memory://name is one bus for all
    buses = [fanwire.open(name) for _ in range(3)]
    for index, bus in enumerate(buses):
        await within(
            bus.subscribe(channel, lambda message, index=index: message.reply({"from": index, "to": message.json()})).ready
        )
    yield buses
    for bus in buses:
        await within(bus.close())


async def test_all_replies(url, channel, responders):
    async with fanwire.open(url) as bus:
        replies = await within(bus.request(channel, "1", expect=3, timeout=DEADLINE_S))
        assert isinstance(replies, fanwire.Replies) and replies.missing == 0
        assert sorted(reply.json()["from"] for reply in replies) == [0, 1, 2]
        assert {reply.json()["to"] for reply in replies} == {1}
        assert not any(reply.is_request for reply in replies)
        with pytest.raises(fanwire.InvalidArgumentError):
            replies[0].reply("x")


async def test_as_many_as_have_received_it(url, channel, responders):
    async with fanwire.open(url) as bus:
        request = bus.request(channel, "1", timeout=DEADLINE_S)
        got = [reply async for reply in request]
        assert len(got) == (3 if url.startswith("redis") else len(got)) and request.missing == 0


async def test_partial_results(url, channel, responders):
    async with fanwire.open(url) as bus:
        request = bus.request(channel, "1", expect=5, timeout=0.2)
        replies = await within(request)
        assert (len(replies), replies.missing, request.missing) == (3, 2, 2)


async def test_several_requests_at_once(url, channel, responders):
    async with fanwire.open(url) as bus:
        requests = [bus.request(channel, str(number), expect=3, timeout=DEADLINE_S) for number in range(50)]
        for number, replies in enumerate(await within(asyncio.gather(*requests))):
            assert {reply.json()["to"] for reply in replies} == {number} and len(replies) == 3


async def test_closing_a_request(url, channel, responders):
    async with fanwire.open(url) as bus:
        request = bus.request(channel, "1", expect=100, timeout=600)
        for _ in range(3):
            await within(anext(request))
        request.close()
        with pytest.raises(fanwire.UnsubscribedError):
            await within(anext(request))
        task = asyncio.ensure_future(_all(bus.request(channel, "1", expect=100, timeout=600)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)


async def _all(request):
    return await request


async def test_requests_and_plain_messages(memory_url):
    async with fanwire.open(memory_url) as bus:
        seen = []
        await within(bus.subscribe("a", seen.append).ready)
        await within(bus.publish("a", "plain"))
        request = bus.request("a", "asked", expect=1, timeout=600)  # one that nobody keeps need not be sent
        await until(lambda: len(seen) == 2)
        request.close()
        plain, asked = seen
        assert (plain.is_request, asked.is_request, asked.text) == (False, True, "asked")
        with pytest.raises(fanwire.InvalidArgumentError, match="request"):
            plain.reply("x")


async def test_with_a_codec(memory_url):
    async with fanwire.open(memory_url, codec="json") as bus:
        await within(bus.subscribe("a", lambda message: message.reply([message.value])).ready)
        replies = await within(bus.request("a", {"n": 1}, expect=1))
        assert [reply.value for reply in replies] == [[{"n": 1}]]


def test_of_a_client(url, channel):
    with fanwire.Client(url) as client, fanwire.Client(url) as other:
        other.subscribe(channel, lambda message: message.reply(message.text.upper())).wait_ready()
        stream = client.subscribe(channel)
        stream.wait_ready()

        def answer():
            for message in stream:
                message.reply("from a stream")

        thread = threading.Thread(target=answer)
        thread.start()
        request = client.request(channel, "x", expect=2, timeout=DEADLINE_S)
        assert sorted(reply.text for reply in request) == ["X", "from a stream"]
        assert request.missing == 0
        replies = client.request(channel, "x", expect=3, timeout=0.2).all()
        assert (len(replies), replies.missing) == (2, 1)
        stream.close()
        thread.join(DEADLINE_S)


@pytest.mark.parametrize("arguments", [{"expect": -1}, {"expect": 1.5}, {"timeout": 0}, {"timeout": "1"}, {"wait": 1}])
async def test_what_cannot_be_asked(memory_url, arguments):
    async with fanwire.open(memory_url) as bus, fanwire.Engine(memory_url) as engine:
        for ask in (bus.request, engine.request):
            with pytest.raises((fanwire.InvalidArgumentError, TypeError)):
                ask("a", "x", **arguments)


async def test_a_request_of_a_closed_bus(memory_url):
    async with fanwire.open(memory_url) as bus:
        await within(bus.subscribe("a", lambda message: None).ready)  # somebody who does not answer
        waiting = asyncio.ensure_future(_all(bus.request("a", "x", expect=1, timeout=600)))
        await asyncio.sleep(0)
    with pytest.raises(fanwire.ClosedError):
        await within(waiting)
    with pytest.raises(fanwire.ClosedError):
        bus.request("a", "x")
