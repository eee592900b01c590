"""fanwire.channels.FanwireChannelLayer: what it does, one promise after the other."""

import asyncio
import random
import re

import fanwire
import pytest
from channels_support import MESSAGE, envelope, layer, losses, make_layer, subscribed  # noqa: F401
from conftest import DEADLINE_S, until, within
from fanwire.channels import Loss


# ---- Sending and receiving


async def test_send_and_receive(layer):
    channel = await layer.new_channel()
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


async def test_messages_wait_from_new_channel_on_in_order(layer):
    channel = await layer.new_channel()
    for number in range(200):
        await layer.send(channel, {"type": "n", "n": number})
    assert [(await within(layer.receive(channel)))["n"] for _ in range(200)] == list(range(200))


async def test_anything_that_has_a_payload_is_sent(layer):
    channel = await layer.new_channel()
    await layer.send(channel, "message.1")
    await layer.send(channel, None)
    assert await within(layer.receive(channel)) == "message.1"
    assert await within(layer.receive(channel)) is None


async def test_a_channel_is_confirmed_and_its_name_is_nobody_elses(layer, own_redis):
    random.seed(1)
    first = await layer.new_channel()
    assert subscribed(own_redis) == [first]
    random.seed(1)
    second = await layer.new_channel(prefix="other.")
    assert re.fullmatch(r"asgispecific\.[0-9a-f]{32}", first) and re.fullmatch(r"asgiother\.[0-9a-f]{32}", second)
    assert first[-32:] != second[-32:]


async def test_receive_subscribes_to_a_name_it_does_not_know(layer, make_layer, own_redis):
    receiving = asyncio.create_task(layer.receive("general"))
    await until(lambda: subscribed(own_redis) == ["general"])
    await make_layer().send("general", MESSAGE)
    assert await within(receiving) == MESSAGE


async def test_each_channel_of_a_group_gets_a_message_of_its_own(layer):
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("g", channel)
        await layer.group_add("g", channel)
    await layer.group_discard("g", channels[1])
    await layer.group_send("g", MESSAGE)
    await layer.send(channels[1], {"type": "last"})
    first, third = [await within(layer.receive(channels[index])) for index in (0, 2)]
    assert first == third == MESSAGE and first["list"] is not third["list"]
    assert await within(layer.receive(channels[1])) == {"type": "last"}
    assert not layer.channels[channels[0]].items


async def test_groups_of_strangers(layer, own_redis):
    with pytest.raises(RuntimeError, match="only call group_add.. on channels that exist in-process"):
        await layer.group_add("g", "stranger")
    await layer.group_discard("g", "stranger")
    channel = await layer.new_channel()
    await layer.group_discard("g", channel)
    assert subscribed(own_redis) == [channel] and not layer.groups


async def test_a_group_is_subscribed_while_it_has_channels(layer, own_redis):
    channels = [await layer.new_channel() for _ in range(2)]
    for channel in channels:
        await layer.group_add("g", channel)
        assert "asgi__group__g" in subscribed(own_redis)
    await layer.group_discard("g", channels[0])
    assert list(layer.groups["asgi__group__g"]) == [channels[1]]
    await layer.group_discard("g", channels[1])
    await until(lambda: subscribed(own_redis) == sorted(channels))
    await layer.group_send("g", MESSAGE)


async def test_adding_and_discarding_at_once(layer):
    channel = await layer.new_channel()
    for _ in range(20):
        adding = asyncio.create_task(layer.group_add("g", channel))
        await asyncio.sleep(0)
        await layer.group_discard("g", channel)
        await within(adding)  # it was in there for a moment
        assert not layer.groups
    await within(asyncio.gather(*(layer.group_add("g", channel) for _ in range(3))))
    await layer.group_send("g", MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


# ---- Receivers that go


async def test_a_cancelled_receive_forgets_the_channel(layer, own_redis):
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(layer.receive(channel), 0.05)
    assert channel not in layer.channels and not layer.groups
    await until(lambda: subscribed(own_redis) == [])
    with pytest.raises(RuntimeError):
        await layer.group_add("g", channel)


async def test_a_channel_that_is_received_from_again_is_in_its_groups(layer):
    channel = await layer.new_channel()
    for group in ("a", "b", "c"):
        await layer.group_add(group, channel)
    for _ in range(3):  # as views do that send something when nothing has come for a while
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer.receive(channel), 0.01)
    await layer.group_discard("b", channel)
    receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: set(layer.groups) == {"asgi__group__a", "asgi__group__c"})
    await until(lambda: all(group.confirmed for group in layer.groups.values()))
    await layer.group_send("c", MESSAGE)
    assert await within(receiving) == MESSAGE


async def test_what_waits_when_a_receiver_is_cancelled_is_not_lost(layer):
    channel = await layer.new_channel()
    receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: layer.channels[channel].waiters)
    await layer.send(channel, MESSAGE)
    await until(lambda: channel not in layer.channels or layer.channels[channel].items or receiving.done())
    receiving.cancel()
    try:
        message = await receiving
    except asyncio.CancelledError:
        message = await within(layer.receive(channel))
    assert message == MESSAGE


async def test_of_two_receivers_the_other_one_stays(layer, own_redis):
    channel = await layer.new_channel()
    receivers = [asyncio.create_task(layer.receive(channel)) for _ in range(3)]
    await until(lambda: len(layer.channels[channel].waiters) == 3)
    receivers[0].cancel()
    await asyncio.wait([receivers[0]])
    layer.channels[channel].put(envelope(layer, MESSAGE))
    receivers[1].cancel()  # which has been woken
    assert await within(receivers[2]) == MESSAGE
    assert subscribed(own_redis) == [channel]


async def test_an_abandoned_channel_is_forgotten_and_taken_up_again(make_layer, own_redis, losses):
    """Channels cancels a receive() that has a message in hand: nobody says that the consumer is gone."""
    layer = make_layer(expiry=0.05, on_loss=losses.append)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    async with asyncio.timeout(DEADLINE_S):
        while channel in layer.channels:
            await layer.group_send("g", {"n": 0})
            await asyncio.sleep(0.01)
    await until(lambda: subscribed(own_redis) == [])
    await layer.group_add("other", channel)  # a consumer that was only busy goes on
    assert {"asgi__group__other", channel} <= set(subscribed(own_redis))
    receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: "asgi__group__g" in subscribed(own_redis))
    await layer.group_send("g", {"n": 1})
    async with asyncio.timeout(DEADLINE_S):
        while (await receiving)["n"] != 1:
            receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: Loss("expired", channel) in losses)


async def test_of_the_messages_of_a_forgotten_channel_some_are_kept(make_layer, losses):
    layer = make_layer(on_loss=losses.append)
    channel = await layer.new_channel()
    receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: layer.channels[channel].waiters)
    for number in range(100):
        layer.channels[channel].put(envelope(layer, number))
    receiving.cancel()
    await asyncio.wait([receiving])
    assert [await within(layer.receive(channel)) for _ in range(64)] == list(range(36, 100))
    await until(lambda: losses == [Loss("full", channel, None, 36)])


async def test_channels_that_were_forgotten_are_not_kept_for_ever(layer, monkeypatch):
    monkeypatch.setattr("fanwire.channels._loop_layer._MAX_DORMANT", 3)
    for _ in range(5):
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer.receive(channel), 0.005)
    assert len(layer._get_layer()._dormant) == 3
