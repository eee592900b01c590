"""fanwire.channels.FanwireChannelLayer: what it does, one promise after the other."""

import asyncio
import gc
import inspect
import os
import random
import re
import threading
import time

import fanwire
import msgpack
import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from channels_redis import serializers as original_serializers
from channels_redis.pubsub import RedisPubSubChannelLayer
from conftest import DEADLINE_S, until, until_blocking, within
from fanwire.channels import FanwireChannelLayer, Loss, SerializerDoesNotExist, registry
from redis_server import RawConnection

MESSAGE = {"type": "test.message", "text": "Ahoy-hoy!", "bytes": b"\xff", "list": [1, None, 2.5, {"a": True}]}


@pytest.fixture
async def make_layer(own_redis):
    layers = []

    def make(**config):
        layers.append(FanwireChannelLayer(**{"hosts": [own_redis.url], **config}))
        return layers[-1]

    yield make
    for layer in layers:
        await layer.flush()


@pytest.fixture
def layer(make_layer):
    return make_layer()


@pytest.fixture
def losses():
    return []


def subscribed(redis):
    return sorted(redis.cli("pubsub", "channels", "*").split())


def connections(redis):
    """Without that which asks."""
    return redis.cli("client", "list").count("\n")


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
    layer.channels[channel].put(_envelope(layer, MESSAGE))
    receivers[1].cancel()  # which has been woken
    assert await within(receivers[2]) == MESSAGE
    assert subscribed(own_redis) == [channel]


def _envelope(layer, message, deadline=float("inf")):
    from fanwire.channels._topics import Envelope

    return Envelope(layer.serialize(message), deadline, False, None)


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
        layer.channels[channel].put(_envelope(layer, number))
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


# ---- The wire


@pytest.mark.parametrize("format", ["msgpack", "json"])
@pytest.mark.parametrize("keys", [None, ["new", b"old"]])
async def test_payloads_are_channels_rediss(make_layer, format, keys):
    message = {"type": "x", "text": "ü", "n": [1, -1, 2**63 - 1, 1.5, None, True], "d": {"k": "v"}}
    config = {"serializer_format": format, "symmetric_encryption_keys": keys}
    ours = make_layer(**config)
    theirs = RedisPubSubChannelLayer(**config)
    if keys is None:
        assert ours.serialize(message) == theirs.serialize(message)
    assert ours.deserialize(theirs.serialize(message)) == theirs.deserialize(ours.serialize(message)) == message
    if keys is not None:
        old = RedisPubSubChannelLayer(**{**config, "symmetric_encryption_keys": ["old"]})
        assert ours.deserialize(old.serialize(message)) == message


async def test_the_bytes_in_redis(make_layer, own_redis):
    layer = make_layer(prefix="app")
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    assert subscribed(own_redis) == sorted([channel, "app__group__g"]) and channel.startswith("appspecific.")
    with RawConnection(own_redis.port) as raw:
        raw.command("SUBSCRIBE", "app__group__g")
        await layer.group_send("g", MESSAGE)
        assert raw.reply() == [b"message", b"app__group__g", msgpack.packb(MESSAGE)]


async def test_channels_redis_hears_and_is_heard(make_layer, own_redis):
    config = {"hosts": [own_redis.url], "symmetric_encryption_keys": ["k"]}
    ours, theirs = make_layer(**config), RedisPubSubChannelLayer(**config)
    our_channel, their_channel = await ours.new_channel(), await theirs.new_channel()
    await ours.group_add("g", our_channel)
    await theirs.group_add("g", their_channel)
    await ours.send(their_channel, MESSAGE)
    await theirs.send(our_channel, MESSAGE)
    assert await within(theirs.receive(their_channel)) == await within(ours.receive(our_channel)) == MESSAGE
    for sender in (ours, theirs):
        await sender.group_send("g", MESSAGE)
        assert await within(theirs.receive(their_channel)) == await within(ours.receive(our_channel)) == MESSAGE
    await theirs.flush()


def test_serializers_of_others():
    class Mine:
        def __init__(self, symmetric_encryption_keys=None):
            pass

        def serialize(self, message):
            return repr(message).encode()

        def deserialize(self, payload):
            return eval(payload)

    registry.register_serializer("mine", Mine)
    assert FanwireChannelLayer(serializer_format="mine").serialize([1]) == b"[1]"
    original_serializers.registry.register_serializer("theirs", Mine)
    assert FanwireChannelLayer(serializer_format="theirs").deserialize(b"{1: 2}") == {1: 2}
    with pytest.raises(SerializerDoesNotExist):
        FanwireChannelLayer(serializer_format="nobodys")
    with pytest.raises(AssertionError):
        registry.register_serializer("wrong", str)
    with pytest.raises(ValueError, match="must be a list"):
        FanwireChannelLayer(symmetric_encryption_keys="key")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_hosts_share_names_as_channels_redis_has_it(count):
    from channels_redis.utils import _consistent_hash
    from fanwire.channels._hosts import index_of

    names = [f"asgi__group__{number}-ü" for number in range(2000)]
    assert [index_of(name, count) for name in names] == [_consistent_hash(name, count) for name in names]


async def test_two_hosts(make_layer, own_redis, shared_redis):
    hosts = [own_redis.url, ("127.0.0.1", shared_redis.port)]
    ours, theirs = make_layer(hosts=hosts), RedisPubSubChannelLayer(hosts=hosts)
    our_channel, their_channel = await ours.new_channel(), await theirs.new_channel()
    groups = [f"g{number}" for number in range(10)]
    for group in groups:
        await ours.group_add(group, our_channel)
        await theirs.group_add(group, their_channel)
    counts = [redis.cli("pubsub", "channels", "asgi__group__*").count("asgi") for redis in (own_redis, shared_redis)]
    assert min(counts) > 0 and sum(counts) == 10
    for group in groups:
        await ours.group_send(group, {"type": group})
        await theirs.group_send(group, {"type": group})
    for layer, channel in ((ours, our_channel), (theirs, their_channel)):
        got = [(await within(layer.receive(channel)))["type"] for _ in range(20)]
        assert sorted(got) == sorted(2 * groups)
    await theirs.flush()
    await ours.flush()


# ---- Limits


async def test_a_full_channel(make_layer, losses):
    layer = make_layer(capacity=3, on_loss=losses.append)
    channel = await layer.new_channel()
    for number in range(3):
        await layer.send(channel, {"n": number})  # whether or not it has come back yet
    with pytest.raises(ChannelFull):
        await layer.send(channel, MESSAGE)
    assert (await within(layer.receive(channel)))["n"] == 0
    await layer.send(channel, {"n": 3})
    assert [(await within(layer.receive(channel)))["n"] for _ in range(3)] == [1, 2, 3]
    assert not losses


def test_a_full_channel_of_another_event_loop(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url], capacity=2)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(layer.new_channel())
    for send in (async_to_sync(layer.send), lambda *message: asyncio.run(layer.send(*message))):
        send(channel, {"n": 1})
        send(channel, {"n": 2})
        for again in (async_to_sync(layer.send), lambda *message: asyncio.run(layer.send(*message))):
            with pytest.raises(ChannelFull):
                again(channel, MESSAGE)
        assert [loop.run_until_complete(within(layer.receive(channel)))["n"] for _ in range(2)] == [1, 2]
    loop.close()
    async_to_sync(layer.send)(channel, MESSAGE)  # nobody's any more
    assert not layer._channels


async def test_a_send_that_fails_takes_no_room(make_layer, own_redis):
    layer = make_layer(capacity=1, offline="fail")
    channel = await layer.new_channel()
    own_redis.kill()
    for _ in range(3):
        with pytest.raises(fanwire.FanwireError):
            await layer.send(channel, MESSAGE)
    own_redis.start()
    await until(lambda: subscribed(own_redis) == [channel])
    await until(lambda: layer.engines()[0].connected)
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


async def test_what_a_full_channel_cannot_hold_is_reported(make_layer, losses):
    layer = make_layer(capacity=2, on_loss=losses.append)
    full, other = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("g", full)
    await layer.group_add("g", other)
    for number in range(5):
        await layer.group_send("g", {"n": number})
        assert (await within(layer.receive(other)))["n"] == number
    await until(lambda: sum(loss.count for loss in losses) == 3)
    assert {(loss.reason, loss.channel, loss.group) for loss in losses} == {("full", full, "g")}
    assert [(await within(layer.receive(full)))["n"] for _ in range(2)] == [0, 1]


async def test_capacities_of_channels(make_layer):
    layer = make_layer(channel_capacity={"specific.*": 2, re.compile("asgiother"): 3, "http.re?uest": 4}, capacity=9)
    capacities = {"asgispecific.1": 2, "specific.1": 2, "asgiother.1": 3, "http.request": 4, "more": 9}
    assert {name: layer.get_capacity(name) for name in capacities} == capacities
    channel = await layer.new_channel()
    await layer.send(channel, MESSAGE)
    await layer.send(channel, MESSAGE)
    with pytest.raises(ChannelFull):
        await layer.send(channel, MESSAGE)
    for wrong in ({"capacity": 0}, {"channel_capacity": {"x": "1"}}):
        with pytest.raises(fanwire.InvalidArgumentError, match="a capacity must be a whole number from 1 up"):
            make_layer(**wrong)


async def test_no_limits_of_time(make_layer):
    layer = make_layer(expiry=None, group_expiry=None)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE
    assert not layer._get_layer()._memberships
    for wrong in ({"expiry": "60"}, {"group_expiry": -1}, {"expiry": float("nan")}):
        with pytest.raises(fanwire.InvalidArgumentError, match="must be a number of seconds, or None, not"):
            make_layer(**wrong)


async def test_a_break_does_not_leave_a_channel_full(make_layer, own_redis):
    layer = make_layer(capacity=2)
    channel = await layer.new_channel()
    layer.channels[channel].under_way.extend([None, None])  # sent, and lost with the connection
    own_redis.cli("client", "kill", "type", "pubsub")
    await until(lambda: not layer.channels[channel].under_way)
    await until(lambda: subscribed(own_redis) == [channel])
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


async def test_messages_expire(make_layer, losses):
    layer = make_layer(capacity=2, on_loss=losses.append)
    channel = await layer.new_channel()
    put = layer.channels[channel].put
    put(_envelope(layer, "old", 0.0))
    put(_envelope(layer, "old", 0.0))
    await layer.send(channel, "takes their place")
    assert await within(layer.receive(channel)) == "takes their place"
    put(_envelope(layer, "old", 0.0))
    receiving = asyncio.create_task(layer.receive(channel))
    await until(lambda: layer.channels[channel].waiters)
    await layer.send(channel, "comes after it")
    assert await within(receiving) == "comes after it"
    await until(lambda: sum(loss.count for loss in losses) == 3)
    assert {(loss.reason, loss.channel) for loss in losses} == {("expired", channel)}


async def test_how_long_messages_may_wait(make_layer):
    layer = make_layer(expiry=7)
    channel = await layer.new_channel()
    await layer.send(channel, MESSAGE)
    await until(lambda: layer.channels[channel].items)
    assert time.monotonic() < layer.channels[channel].items[0].deadline <= time.monotonic() + 7


async def test_a_channel_leaves_its_group_in_time(make_layer, own_redis, losses):
    layer = make_layer(group_expiry=0.3, on_loss=losses.append)
    stays, leaves = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("g", leaves)
    await layer.group_add("g", stays)
    await layer.group_add("other", leaves)
    async with asyncio.timeout(DEADLINE_S):
        while leaves in layer.groups.get("asgi__group__g", {}):
            await layer.group_add("g", stays)
            await asyncio.sleep(0.01)
    await until(lambda: "asgi__group__other" not in layer.groups)
    await layer.group_add("g", stays)
    assert list(layer.groups["asgi__group__g"]) == [stays]
    await until(lambda: not layer.groups and subscribed(own_redis) == sorted([stays, leaves]))
    left = [(leaves, "g"), (leaves, "other"), (stays, "g")]
    expected = {Loss("group_expired", channel, group) for channel, group in left}
    await until(lambda: expected <= set(losses))


# ---- Losses


async def test_a_break_is_reported(make_layer, own_redis, losses):
    events = []
    layer = make_layer(
        on_loss=losses.append,
        on_disconnect=lambda event: events.append(event.kind),
        on_reconnect=lambda: events.append("reconnect"),
    )
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    own_redis.kill()
    await until(lambda: events == ["lost"])
    own_redis.start()
    await until(lambda: events == ["lost", "reconnect"])
    await until(lambda: len(losses) == 2)
    assert {(loss.reason, loss.channel, loss.group, loss.count) for loss in losses} == {
        ("reconnect", channel, None, None),
        ("reconnect", None, "g", None),
    }
    await layer.group_send("g", MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


async def test_consumers_receive_what_happens_as_messages(make_layer, own_redis):
    layer = make_layer(on_disconnect="redis.away", on_reconnect="redis.back", on_loss="messages.lost")
    channel, other = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("g", channel)
    own_redis.kill()
    assert await within(layer.receive(channel)) == {"type": "redis.away"}
    own_redis.start()
    got = [await within(layer.receive(channel)) for _ in range(3)]
    assert {"type": "redis.back"} in got
    for group in (None, "g"):
        assert {"type": "messages.lost", "reason": "reconnect", "group": group, "count": None} in got
    for _ in range(3):  # nobody has received them: one of each kind waits
        own_redis.cli("client", "kill", "type", "pubsub")
        await until(lambda: not layer._get_layer()._lost and len(subscribed(own_redis)) == 3)
    assert [key if isinstance(key, str) else key[0] for key in layer.channels[other].notices].count("redis.away") == 1
    assert len(layer.channels[other].notices) <= 3


async def test_the_return_is_not_missed_when_channels_go(make_layer, own_redis):
    """The last one that is not back is forgotten; or all that were lost are, before Redis is back."""
    events = []
    layer = make_layer(on_disconnect=lambda: events.append("away"), on_reconnect=lambda: events.append("back"))
    stays, goes = await layer.new_channel(), await layer.new_channel()
    inner = layer._get_layer()
    inner.on_event(layer.channels[goes], fanwire.Event("lost"), goes, None)
    inner.on_event(layer.channels[stays], fanwire.Event("lost"), stays, None)
    inner.on_event(layer.channels[stays], fanwire.Event("resumed"), stays, None)
    assert events == ["away"]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(layer.receive(goes), 0.01)
    assert events == ["away", "back"]
    own_redis.kill()
    await until(lambda: events == ["away", "back", "away"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(layer.receive(stays), 0.01)
    assert events[3:] == []
    own_redis.start()
    await layer.new_channel()
    assert events[3:] == ["back"]


async def test_losses_after_a_flush_are_reported(make_layer, own_redis, losses):
    layer = make_layer(on_loss=losses.append)
    for _ in range(3):
        channel = await layer.new_channel()
        with RawConnection(own_redis.port) as raw:
            raw.command("PUBLISH", channel, b"\xc1")
        await layer.send(channel, MESSAGE)
        assert await within(layer.receive(channel)) == MESSAGE
        await layer.flush()
        assert losses.pop().channel == channel


def test_what_an_async_callback_cannot_hear_any_more_is_logged(own_redis, caplog):
    async def on_loss(loss):
        pass

    layer = FanwireChannelLayer(hosts=[own_redis.url], on_loss=on_loss)
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(layer.new_channel())
    layer._layers[loop].losses.note("full", channel, None, 1)
    loop.close()
    assert "on_loss of a channel layer could not be awaited" in caplog.text and channel in caplog.text


async def test_callbacks_may_be_async_and_may_fail(make_layer, own_redis, caplog):
    events = []

    async def on_disconnect(event):
        events.append(event.kind)
        raise ValueError("async")

    def on_reconnect(event):
        raise ValueError("plain")

    layer = make_layer(on_disconnect=on_disconnect, on_reconnect=on_reconnect)
    channel = await layer.new_channel()
    own_redis.cli("client", "kill", "type", "pubsub")
    await until(lambda: "on_reconnect of a channel layer raised" in caplog.text)
    assert events == ["lost"] and "on_disconnect of a channel layer raised" in caplog.text
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE
    with pytest.raises(fanwire.InvalidArgumentError, match="on_loss must be a message type or callable, not int"):
        make_layer(on_loss=1)


async def test_losses_are_logged_when_nobody_asks(make_layer, own_redis, caplog):
    layer = make_layer(capacity=1)
    channels = [await layer.new_channel() for _ in range(10)]
    own_redis.cli("client", "kill", "type", "pubsub")
    await until(lambda: "messages were lost: reconnect, unknown number, in channel" in caplog.text)
    await until(lambda: all(layer.channels[channel].subscription.state == "active" for channel in channels))
    caplog.clear()
    begin = time.monotonic()
    await layer.group_add("g", channels[0])
    for _ in range(200):
        await layer.group_send("g", MESSAGE)
    await until(lambda: re.search("full, [0-9]+, in channel", caplog.text))
    assert caplog.text.count("full, ") <= 2 + time.monotonic() - begin  # not a line for each


GARBAGE = [b"", b"garbage", b"\xc1", b"\x81", b"\x91" * 5000, b"\x00fanwire", b"\xdf\xff\xff\xff\xff"]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_reaches_nobody(make_layer, own_redis, losses, garbage):
    layer = make_layer(on_loss=losses.append)
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("g", channel)
    with RawConnection(own_redis.port) as raw:
        raw.command("PUBLISH", "asgi__group__g", garbage)
        raw.command("PUBLISH", channels[0], garbage)
    await layer.group_send("g", MESSAGE)
    for channel in channels:
        assert await within(layer.receive(channel)) == MESSAGE
    await until(lambda: sum(loss.count for loss in losses) == 2)  # once for the group
    assert {loss.reason for loss in losses} == {"undecodable"} and all(loss.error for loss in losses)


async def test_messages_of_another_key_reach_nobody(make_layer, losses):
    ours = make_layer(symmetric_encryption_keys=["a"], on_loss=losses.append)
    channel = await ours.new_channel()
    for sender in (make_layer(), make_layer(symmetric_encryption_keys=["b"]), ours):
        await sender.send(channel, MESSAGE)
    assert await within(ours.receive(channel)) == MESSAGE
    await until(lambda: sum(loss.count for loss in losses) == 2)
    assert {(loss.reason, loss.channel, type(loss.error).__name__) for loss in losses} == {
        ("undecodable", channel, "InvalidToken")
    }


async def test_an_overflow_of_the_engine_is_reported(make_layer, own_redis, losses):
    layer = make_layer(on_loss=losses.append, inbox_count=10)
    channel = await layer.new_channel()
    with RawConnection(own_redis.port) as raw:
        for number in range(1000):  # this loop does not run meanwhile
            raw.command("PUBLISH", channel, msgpack.packb({"n": number}))
    await until(lambda: losses)
    got = len(layer.channels[channel].items)
    await until(lambda: len(layer.channels[channel].items) + sum(loss.count for loss in losses) == 1000)
    assert got and {loss.reason for loss in losses} == {"overflow"}


# ---- Redis is away, or refuses


async def test_nothing_waits_for_ever_for_a_redis_that_is_not_there(make_layer):
    layer = make_layer(hosts=["redis://127.0.0.1:1"], publish_timeout_ms=1000)
    with pytest.raises(TimeoutError, match="could not be subscribed within 1 s: .*refused"):
        await within(layer.new_channel())
    with pytest.raises(TimeoutError):
        await within(layer.receive("x"))
    with pytest.raises(TimeoutError):
        await within(layer.send("x", MESSAGE))
    assert not layer.channels


async def test_a_group_that_cannot_be_subscribed_is_not_joined(make_layer, own_redis):
    own_redis.cli("acl", "setuser", "u", "on", ">p", "+@all", "allchannels", "resetchannels", "&asgispecific*")
    layer = make_layer(hosts=[f"redis://u:p@127.0.0.1:{own_redis.port}"])
    channel = await layer.new_channel()
    with pytest.raises(fanwire.NoPermissionError):
        await within(layer.group_add("g", channel))
    with pytest.raises(fanwire.NoPermissionError):
        await within(layer.group_send("g", MESSAGE))
    with pytest.raises(fanwire.NoPermissionError):
        await asyncio.to_thread(async_to_sync(layer.group_send), "g", MESSAGE)
    assert not layer.groups and not layer.channels[channel].groups


async def test_groups_that_change_during_an_outage_hold(layer, own_redis):
    channels = [await layer.new_channel() for _ in range(3)]
    await layer.group_add("g", channels[0])
    await layer.group_add("g", channels[1])
    own_redis.kill()
    await layer.group_discard("g", channels[1])
    await layer.group_add("g", channels[2])  # the group is subscribed as far as we know
    adding = asyncio.create_task(layer.group_add("new", channels[0]))
    own_redis.start()
    await within(adding)
    await until(lambda: len(subscribed(own_redis)) == 5)
    await layer.group_send("g", {"n": 1})
    await layer.group_send("new", {"n": 2})
    assert [(await within(layer.receive(channels[0])))["n"] for _ in range(2)] == [1, 2]
    assert (await within(layer.receive(channels[2])))["n"] == 1
    assert not layer.channels[channels[1]].items


# ---- Event loops, threads, the end


async def test_flush(layer, own_redis):
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    assert connections(own_redis) == 2
    await layer.flush()
    assert not layer.channels and not layer.groups
    await until(lambda: connections(own_redis) == 0)
    channel = await layer.new_channel()
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE
    await layer.flush()
    await layer.flush()


async def test_flush_leaves_nothing_open(layer):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    await layer.send("x", MESSAGE)
    await layer.flush()
    before = descriptors()
    for _ in range(5):
        await layer.new_channel()
        await layer.flush()
    await until(lambda: descriptors() <= before)


async def test_flush_leaves_other_loops_alone(layer):
    channel = await layer.new_channel()

    async def elsewhere():
        other = await layer.new_channel()
        await layer.send(other, MESSAGE)
        await layer.flush()
        assert other not in layer.channels

    await asyncio.to_thread(asyncio.run, elsewhere())
    await layer.send(channel, MESSAGE)
    assert await within(layer.receive(channel)) == MESSAGE


async def test_flush_while_others_send(layer):
    """Their engine is another one from then on, unless they have channels."""
    failures = []

    async def talk():
        channel = await layer.new_channel()
        await layer.send(channel, MESSAGE)
        assert await within(layer.receive(channel)) == MESSAGE

    def send():
        try:
            for number in range(30):
                async_to_sync(layer.send)("x", MESSAGE)
                asyncio.run(layer.group_send("g", MESSAGE))
                asyncio.run(talk())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await layer.send("x", MESSAGE)
        await layer.flush()
    assert not failures


def test_an_event_loop_has_one_layer_until_it_is_closed(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])

    async def use():
        assert layer._get_layer() is layer._get_layer() and layer._get_layer().channel_layer is layer
        assert len(layer._layers) == 1
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await layer.send(channel, MESSAGE)
        assert await within(layer.receive(channel)) == MESSAGE

    for run in (lambda: asyncio.run(use()), async_to_sync(use), lambda: _run_uvloop(use())):
        run()
        assert len(layer._layers) == 0
        until_blocking(lambda: subscribed(own_redis) == [])
    assert connections(own_redis) == 2


def _run_uvloop(main):
    import uvloop

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main)
    loop.close()


def test_a_loop_that_is_closed_while_somebody_receives(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(layer.new_channel())
    loop.run_until_complete(layer.group_add("g", channel))
    receiving = loop.create_task(layer.receive(channel))
    loop.run_until_complete(asyncio.sleep(0))
    assert layer._layers[loop].channels[channel].waiters
    loop.close()
    assert not layer._layers
    until_blocking(lambda: subscribed(own_redis) == [])
    receiving._log_destroy_pending = False
    del receiving
    gc.collect()


def test_short_loops_of_async_to_sync(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(layer.new_channel())
    loop.run_until_complete(layer.group_add("g", channel))
    for number in range(50):
        async_to_sync(layer.send)(channel, {"n": number})
        async_to_sync(layer.group_send)("g", {"n": number})
        assert list(layer._layers) == [loop]
    got = [loop.run_until_complete(within(layer.receive(channel)))["n"] for _ in range(100)]
    assert sorted(got) == sorted(2 * list(range(50)))

    async def twice():  # a loop that goes on gets a bus, which lets others run
        await layer.send(channel, {"n": 1})
        assert len(layer._layers) == 2 and not layer._get_layer()._buses
        await layer.send(channel, {"n": 2})
        assert len(layer._get_layer()._buses) == 1

    async_to_sync(twice)()
    assert [loop.run_until_complete(within(layer.receive(channel)))["n"] for _ in range(2)] == [1, 2]
    assert list(layer._layers) == [loop] and connections(own_redis) == 2
    loop.close()


def test_many_threads_with_loops_of_their_own(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    got, failures = [], []
    ready = threading.Barrier(5)

    async def member():
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await asyncio.to_thread(ready.wait, DEADLINE_S)
        for number in range(20):
            await layer.group_send("g", {"n": number})
        got.append([(await within(layer.receive(channel)))["n"] for _ in range(100)])

    def run():
        try:
            asyncio.run(member())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(got) == 5
    assert all(sorted(numbers) == sorted(5 * list(range(20))) for numbers in got)
    assert not layer._layers


async def test_a_layer_that_nobody_refers_to_closes_its_connections(own_redis):
    layer = FanwireChannelLayer(hosts=[own_redis.url])
    await layer.send("x", MESSAGE)
    assert connections(own_redis) == 2
    layer._end_layer(asyncio.get_running_loop())
    del layer
    gc.collect()
    await until(lambda: connections(own_redis) == 0)


# ---- The interface


async def test_what_channels_looks_at(layer):
    assert isinstance(layer, BaseChannelLayer)
    for name in ("send", "receive", "new_channel", "group_add", "group_discard", "group_send", "flush"):
        assert inspect.iscoroutinefunction(getattr(layer, name))
    assert layer.extensions == ["groups", "flush"]
    assert (layer.expiry, layer.group_expiry, layer.prefix) == (60, 86400, "asgi")
    await layer.send("x", MESSAGE)
    assert [engine.health().ok for engine in layer.engines()] == [True]


def test_the_arguments_of_the_original(own_redis):
    layer = FanwireChannelLayer([own_redis.url], "p", "gone", "back", random_prefix_length=12, expiry=5, capacity=7)
    assert (layer.prefix, layer.on_disconnect, layer.on_reconnect, layer.capacity) == ("p", "gone", "back", 7)


HOSTS = [
    (None, "redis://localhost:6379", {}),
    ([], "redis://localhost:6379", {}),
    (["redis://h/2"], "redis://h/2", {}),
    ([("h", 7)], "redis://h:7", {}),
    ([["::1", 7]], "redis://[::1]:7", {}),
    ([{"host": "h"}], "redis://h:6379", {}),
    ([{"address": "redis://h", "db": 3, "password": "p"}], "redis://h", {"db": 3, "password": "p"}),
    ([{"path": "/tmp/a b.sock", "db": 1}], "unix:///tmp/a%20b.sock", {"db": 1}),
    ([{"host": "h", "ssl": True, "ssl_ca_certs": "ca.pem"}], "redis://h:6379", {"tls": True, "tls_ca_file": "ca.pem"}),
    (["rediss://h?ssl_cert_reqs=none&db=2"], "rediss://h?db=2", {"tls_verify": False}),
    ([{"address": "rediss://h", "ssl_check_hostname": False}], "rediss://h", {"tls_verify": "ca"}),
    (["redis://h?max_connections=5&health_check_interval=30"], "redis://h", {}),
    ([{"address": "redis://h", "socket_connect_timeout": 0.5}], "redis://h", {"connect_timeout_ms": 500}),
    ([{"address": "redis://h", "offline": "fail", "retry_on_timeout": True}], "redis://h", {"offline": "fail"}),
]


@pytest.mark.parametrize("hosts, url, settings", HOSTS)
def test_hosts(hosts, url, settings):
    from fanwire.channels._hosts import hosts_of

    (host,) = hosts_of(hosts, {})
    assert (host.url, host.settings) == (url, settings)


def test_hosts_that_are_wrong():
    for hosts in ("redis://h", b"redis://h", {"host": "h"}):
        with pytest.raises(ValueError, match="must pass a list of Redis hosts"):
            FanwireChannelLayer(hosts=hosts)
    with pytest.raises(fanwire.InvalidUrlError):
        FanwireChannelLayer(hosts=["http://h"])
    with pytest.raises(fanwire.UnknownOptionError, match='did you mean "port"'):
        FanwireChannelLayer(hosts=[{"host": "h", "prot": 1}])
    with pytest.raises(fanwire.UnknownOptionError):
        FanwireChannelLayer(capcity=1)
    with pytest.raises(ValueError) as raised:
        FanwireChannelLayer(hosts=[("h", 1, "secret")])
    assert "secret" not in str(raised.value)


def test_settings_are_for_each_host_that_does_not_say_otherwise(monkeypatch):
    monkeypatch.setenv("FANWIRE_NAMESPACE", "not here")
    hosts = ["redis://a", {"address": "redis://b", "offline": "queue"}]
    layer = FanwireChannelLayer(hosts=hosts, offline="fail", connect_timeout_ms=70)
    both = [fanwire.effective_settings(host.url, **host.settings) for host in layer._engines._hosts]
    assert [one["offline"] for one in both] == ["fail", "queue"]
    assert {one["connect_timeout_ms"] for one in both} == {"70"}
    assert {one["namespace"] for one in both} == {""}
