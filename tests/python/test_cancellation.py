"""Cancellation at any await of the asyncio interface: nothing stays subscribed, and whoever stays loses nothing."""

import asyncio
import os
import random

import pytest
from conftest import until, within

import fanwire

ROUNDS = int(os.environ.get("CANCELLATION_ROUNDS", "10000"))
AT_ONCE = 50


async def iterates(bus, channel):
    async with bus.subscribe(channel) as stream:
        await bus.publish(channel, b"x")
        async for _ in stream:
            await asyncio.sleep(0)


async def takes_batches(bus, channel):
    stream = bus.subscribe(channel)
    try:
        await stream.ready
        bus.publish_nowait(channel, b"x")
        async for _ in stream.batches(8):
            pass
    finally:
        stream.close()


async def handles(bus, channel):
    got = asyncio.Event()

    async def handler(message):
        await asyncio.sleep(0)
        got.set()

    async with bus.psubscribe(channel + "*", handler):
        await asyncio.gather(*(bus.publish(channel, b"x") for _ in range(3)))
        await got.wait()


async def asks(bus, channel):
    async with bus.subscribe(channel, lambda message: message.is_request and message.reply(b"yes")):
        async for _ in bus.request(channel, b"?", expect=2, timeout=5):
            await bus.numsub([channel])


async def times_out(bus, channel):
    try:
        async with asyncio.timeout(0.001):
            await iterates(bus, channel)
    except TimeoutError:
        await bus.publish(channel, b"late")


async def hears_events(bus, channel):
    async def on_event(event):
        await asyncio.sleep(0)

    async with bus.subscribe(channel, on_event=on_event) as stream:
        await bus.publish(channel, b"x")
        async for item in stream.events():
            if isinstance(item, fanwire.Message):
                break


async def replies_in_a_block(bus, channel):
    async with bus.request(channel, b"?", expect=1, timeout=5) as request:
        async for _ in request:
            pass


LIVES = (iterates, takes_batches, handles, asks, times_out, hears_events, replies_in_a_block)


def channels_of(redis):
    return redis.cli("pubsub", "channels", "*").split()


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.timeout(300)
async def test_at_random_points(own_redis):
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    rng = random.Random(7)
    seen = []
    settings = {"unsubscribe_linger_ms": 0}
    async with fanwire.connect(own_redis.url, **settings) as bus, fanwire.Engine(own_redis.url, **settings) as engine:
        light = engine.bus()
        await light.opened
        async with bus.subscribe("steady", lambda message: seen.append(int(message.data))):
            cancelled = published = 0
            while cancelled < ROUNDS:
                lives = []
                for _ in range(AT_ONCE):
                    live = rng.choice(LIVES)
                    lives.append(asyncio.create_task(live(rng.choice((bus, light)), f"c{rng.randrange(8)}")))
                bus.publish_nowait("steady", str(published).encode())
                published += 1
                rng.shuffle(lives)
                if rng.random() < 0.5:
                    await turns(rng.randint(0, 12))
                else:
                    await asyncio.sleep(rng.random() * 0.003)
                for life in lives:
                    life.cancel()
                    if rng.random() < 0.1:
                        await turns(rng.randint(1, 3))
                ended = await within(asyncio.gather(*lives, return_exceptions=True))
                # Some were done before, the others are cancelled; none has failed otherwise.
                assert [end for end in ended if end is not None and not isinstance(end, asyncio.CancelledError)] == []
                cancelled += len(lives)
            await until(lambda: len(seen) == published)
            assert seen == list(range(published))
            # The channel of replies stays with the engine.
            await until(lambda: [name for name in channels_of(own_redis) if "__fanwire:reply:" not in name] == ["ws:steady"])
            await until(lambda: own_redis.cli("pubsub", "numpat") == "0")
            assert (bus.stats()["subscriptions"], engine.stats()["subscriptions"]) == (1, 0)
    await until(lambda: channels_of(own_redis) == [])
    assert reported == []


@pytest.mark.timeout(120)
async def test_opening_and_closing(own_redis):
    """Whatever is cancelled while it opens, is used or closes leaves no connection, and nothing subscribed."""
    rng = random.Random(7)

    async def connects(channel):
        async with fanwire.connect(own_redis.url, unsubscribe_linger_ms=0) as bus, bus.subscribe(channel):
            await bus.publish(channel, b"x")

    async def opens(channel):
        bus = fanwire.open(own_redis.url)
        try:
            await bus.opened
            await bus.publish(channel, b"x")
        finally:
            await bus.close()

    async def shares(channel):
        async with fanwire.Engine(own_redis.url) as engine, engine.bus() as light, light.subscribe(channel):
            await light.publish(channel, b"x")

    for _ in range(10):
        lives = [asyncio.create_task(rng.choice((connects, opens, shares))(f"c{number}")) for number in range(15)]
        for life in lives:
            await turns(rng.randint(0, 40))
            life.cancel()
        ended = await within(asyncio.gather(*lives, return_exceptions=True))
        assert [end for end in ended if end is not None and not isinstance(end, asyncio.CancelledError)] == []
    await until(lambda: channels_of(own_redis) == [])
    # But that of the one who asks.
    await until(lambda: len(own_redis.cli("client", "list").splitlines()) == 1)
