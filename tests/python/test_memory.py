"""What is made for each message and each publish is given back."""

import asyncio
import gc
import sys

import fanwire
import pytest
from conftest import until, within


def settled_blocks(grow):
    """By how many memory blocks of Python's a repeated action grows, at least, once it has warmed up."""
    sizes = []
    for _ in range(6):
        grow()
        gc.collect()
        sizes.append(sys.getallocatedblocks())
    return min(later - earlier for earlier, later in zip(sizes[2:], sizes[3:]))


def run(coroutine_function, memory_url, **settings):
    with asyncio.Runner() as runner:

        async def open_bus():
            return await fanwire.connect(memory_url, **settings)

        bus = runner.run(open_bus())
        growth = settled_blocks(lambda: runner.run(coroutine_function(bus)))
        runner.run(bus.close())
    return growth


COUNT = 2000


def test_handlers(memory_url):
    async def receive(bus):
        count = 0

        def handler(message):
            nonlocal count
            count += 1
            assert message.data is message.data
            assert message.channel is message.channel
            message.text, message.pattern, message.channel_bytes
            if count % 100 == 0:
                raise ValueError(message)

        def quiet(loop, context):
            assert isinstance(context["exception"], ValueError)

        asyncio.get_running_loop().set_exception_handler(quiet)
        with bus.subscribe("a", handler) as subscription, bus.psubscribe("a*", handler) as pattern:
            await within(subscription.ready)
            await within(pattern.ready)
            for _ in range(COUNT):
                bus.publish_nowait("a", b"x" * 100)
            await until(lambda: count == 2 * COUNT)

    assert run(receive, memory_url) < COUNT / 20


def test_streams_and_batches(memory_url):
    async def receive(bus):
        with bus.subscribe("a") as one, bus.subscribe("a") as other:
            await within(one.ready)
            await within(other.ready)
            for _ in range(COUNT):
                bus.publish_nowait("a", b"x" * 100)
            left = COUNT
            async for batch in one.batches(100):
                left -= len(batch)
                if left == 0:
                    break
            for _ in range(COUNT // 2):  # the rest is dropped with the subscription
                assert len((await within(anext(other))).data) == 100

    assert run(receive, memory_url) < COUNT / 20


@pytest.mark.parametrize("channel", ["a", ""])
def test_outcomes(memory_url, channel):
    """Of publishes that succeed, fail, are cancelled, and are not waited for."""

    async def publish(bus):
        await asyncio.gather(*[bus.publish(channel, b"x") for _ in range(COUNT)], return_exceptions=True)
        for _ in range(COUNT // 10):
            bus.publish(channel, b"x").cancel()
            task = asyncio.create_task(bus.publish(channel, {"n": 1}))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
        await asyncio.gather(bus.publish(channel, b"x"), return_exceptions=True)

    assert run(publish, memory_url) < COUNT / 20
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is fanwire._native.Outcome]


def test_reference_counts_stay(memory_url):
    """Of what lives for ever a leak would not be seen as memory."""
    counts = []

    async def work(bus):
        def handler(message):
            message.data

        with bus.subscribe("a", handler) as subscription:
            await within(subscription.ready)
            await asyncio.gather(*[bus.publish("a", b"x" * 10) for _ in range(COUNT)])
            await asyncio.gather(*[bus.publish("", b"x") for _ in range(COUNT)], return_exceptions=True)
        gc.collect()
        immortal = [
            fanwire.Message,
            fanwire.Subscription,
            fanwire._native.Outcome,
            fanwire._native.Receiver,
            fanwire.InvalidChannelError,
            bus._loop,
            asyncio.CancelledError,
        ]
        counts.append([sys.getrefcount(thing) for thing in immortal] + [sys.getrefcount(None)])

    run(work, memory_url)
    for earlier, later in zip(counts[2:], counts[3:]):
        assert all(abs(b - a) < COUNT / 10 for a, b in zip(earlier, later)), counts


async def test_a_message_outlives_everything(memory_url):
    async with fanwire.connect(memory_url) as bus:
        stream = bus.subscribe("a")
        got = []
        await within(stream.ready)
        await within(bus.subscribe("a", got.append).ready)
        await bus.publish("a", b"x" * 1000)
        message = await within(anext(stream))
        await until(lambda: got)
    del bus, stream
    gc.collect()
    for kept in (message, got[0]):
        assert (kept.channel, kept.data, kept.pattern) == ("a", b"x" * 1000, None)


async def test_what_is_no_exception_and_comes_from_a_handler_costs_no_other_message(memory_url):
    class Stop(BaseException):
        pass

    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    got = []

    def handler(message):
        got.append(message.text)
        if message.text in ("3", "7"):
            raise Stop

    async with fanwire.connect(memory_url) as bus:
        await within(bus.subscribe("a", handler).ready)
        await within(asyncio.gather(*[bus.publish("a", str(i)) for i in range(20)]))
        await until(lambda: len(got) == 20)
    assert got == [str(i) for i in range(20)]
    assert [type(error) for error in reported] == [Stop, Stop]
