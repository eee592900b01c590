"""Cancellation at any point of any call leaves nothing subscribed, and loses nothing that a channel has."""

import asyncio
import os
import random

import pytest
from conftest import until, within
from fanwire.channels import FanwireChannelLayer

ROUNDS = int(os.environ.get("CANCELLATION_ROUNDS", "400"))


async def live(layer, rng):
    """A consumer's life."""
    channel = await layer.new_channel()
    try:
        for group in rng.sample(["a", "b", "c"], 2):
            await layer.group_add(group, channel)
        await layer.group_send(rng.choice("abc"), {"type": "x"})
        await layer.send(channel, {"type": "y"})
        await layer.group_discard(rng.choice("abc"), channel)
        await receive_all(layer, channel)
    finally:
        # As in Channels, where the task that receives is the last one to be cancelled.
        receiving = asyncio.create_task(receive_all(layer, channel))
        await asyncio.sleep(0)
        receiving.cancel()
        await asyncio.wait([receiving])


async def receive_all(layer, channel):
    while True:
        await layer.receive(channel)


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.timeout(300)
async def test_random_cancellation_leaves_nothing_subscribed(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    rng = random.Random(1)
    for number in range(ROUNDS):
        lives = [asyncio.create_task(live(layer, rng)) for _ in range(rng.randint(1, 4))]
        if number % 2:
            await turns(rng.randint(0, 60))
        else:
            await asyncio.sleep(rng.random() * 0.004)
        for life in lives:
            life.cancel()
            if rng.random() < 0.3:
                await turns(rng.randint(0, 3))
        await asyncio.wait(lives)
        assert all(life.cancelled() for life in lives)
        assert not layer.channels and not layer.groups
    await until(lambda: own_redis.cli("pubsub", "channels", "*") == "")
    assert not layer._get_layer()._memberships
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "last"})
    assert await within(layer.receive(channel)) == {"type": "last"}
    await layer.flush()


async def test_random_time_limits_lose_nothing(own_redis):
    """What came while the channel was subscribed is received, whenever the receiver was cancelled."""
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    rng = random.Random(2)
    channel = await layer.new_channel()
    sent, got = 0, []
    for _ in range(ROUNDS // 4):
        for _ in range(rng.randint(1, 5)):
            if channel in layer.channels and layer.channels[channel].subscription.state == "active":
                await layer.send(channel, {"n": sent})
                sent += 1
        await until(lambda: len(got) + len(_items(layer, channel)) == sent)
        for _ in range(rng.randint(1, 4)):
            receiving = asyncio.create_task(layer.receive(channel))
            await turns(rng.randint(0, 4))
            receiving.cancel()
            try:
                got.append((await receiving)["n"])
            except asyncio.CancelledError:
                pass
        while channel not in layer.channels or _items(layer, channel):
            try:
                async with asyncio.timeout(0.05):
                    got.append((await layer.receive(channel))["n"])
            except TimeoutError:
                receiving = asyncio.create_task(layer.receive(channel))
                await until(lambda: channel in layer.channels and layer.channels[channel].confirmed)
                await layer.send(channel, {"n": sent})
                sent += 1
                got.append((await within(receiving))["n"])
    assert got == list(range(sent)) and sent > ROUNDS // 4
    await layer.flush()


def _items(layer, channel):
    if channel in layer.channels:
        return layer.channels[channel].items
    dormant = layer._get_layer()._dormant.get(channel)
    return () if dormant is None else dormant.items
