"""publish() and what arrives."""

import asyncio

import fanwire
import pytest
from conftest import until, within


async def test_receivers_are_counted(redis, channel):
    async with fanwire.connect(redis.url) as one, fanwire.connect(redis.url) as two:
        assert await one.publish(channel, "nobody") == 0
        await within(one.subscribe(channel, print).ready)
        assert await two.publish(channel, "one") == 1
        await within(two.subscribe(channel, print).ready)
        await within(two.subscribe(channel, print).ready)
        assert await one.publish(channel, "both; a connection counts once") == 2


@pytest.mark.parametrize(
    "value, data",
    [
        ("žluťoučký 🐎", "žluťoučký 🐎".encode()),
        ("", b""),
        (b"", b""),
        (b"\0a\0\xff", b"\0a\0\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abc"), b"abc"),
        (memoryview(b"abcd")[::2], b"ac"),
        ({"a": [1, None, True], "é": "č"}, '{"a":[1,null,true],"é":"č"}'.encode()),
        (None, b"null"),
        (1.5, b"1.5"),
    ],
)
async def test_values(url, channel, value, data):
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        await bus.publish(channel, value)
        message = await within(anext(messages))
        assert message.data == data
        assert type(message.data) is bytes
        assert message.channel == channel
        assert message.channel_bytes == channel.encode()
        assert message.pattern is None
        assert message.pattern_bytes is None


async def test_a_message_as_text_and_json(url, channel):
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        await bus.publish(channel, {"n": 1, "text": "ž"})
        await bus.publish(channel, b"\xff{")
        good, bad = await within(anext(messages)), await within(anext(messages))
        assert good.json() == {"n": 1, "text": "ž"}
        assert good.text == '{"n":1,"text":"ž"}'
        with pytest.raises(UnicodeDecodeError):
            bad.text
        with pytest.raises(ValueError):
            bad.json()
        assert repr(bad) == f"<fanwire.Message on '{channel}': 2 bytes>"
        with pytest.raises(TypeError):
            fanwire.Message()
        with pytest.raises(AttributeError):
            good.data = b"other"


async def test_a_message_outlives_its_bus(url, channel):
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        await bus.publish(channel, "still here")
        message = await within(anext(messages))
    del bus, messages
    assert message.text == "still here"
    assert message.channel == channel


async def test_channel_names_of_any_bytes_come_back(url, channel):
    name = channel.encode() + b"\0\xff\r\n"
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(name)
        await within(messages.ready)
        await bus.publish(name, "one")
        first = await within(anext(messages))
        assert first.channel_bytes == name
        await bus.publish(first.channel, "two")  # its str form names the same channel
        assert (await within(anext(messages))).text == "two"
        assert messages.channel == first.channel


async def test_publish_nowait(url, channel):
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        assert bus.publish_nowait(channel, "x") is None
        assert (await within(anext(messages))).text == "x"
        await until(lambda: bus.stats()["publish_ok"] == 1)


async def test_close_sends_what_was_accepted(redis, channel):
    async with fanwire.connect(redis.url) as receiver:
        messages = receiver.subscribe(channel)
        await within(messages.ready)
        async with fanwire.connect(redis.url) as sender:
            for number in range(1000):
                sender.publish_nowait(channel, str(number))
        assert sender.stats()["publish_ok"] == 1000
        assert [int((await within(anext(messages))).text) for _ in range(1000)] == list(range(1000))


async def test_many_publishes_at_once(url, channel):
    async with fanwire.connect(url) as bus:
        got = []
        await within(bus.subscribe(channel, lambda message: got.append(message.json())).ready)
        outcomes = await within(asyncio.gather(*[bus.publish(channel, number) for number in range(2000)]))
        assert outcomes == [1] * 2000
        await until(lambda: len(got) == 2000)
        assert got == list(range(2000))


async def test_a_cancelled_publish_harms_nobody(redis, channel):
    async with fanwire.connect(redis.url) as bus:
        task = asyncio.ensure_future(bus.publish(channel, "x"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await within(bus.publish(channel, "y")) == 0
        await until(lambda: bus.stats()["publish_ok"] == 2)
