"""What a channel layer holds and for how long, and what it reports as lost."""

import asyncio
import re
import time

import fanwire
import msgpack
import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels_support import MESSAGE, envelope, layer, losses, make_layer, subscribed  # noqa: F401
from conftest import DEADLINE_S, until, within
from fanwire.channels import FanwireChannelLayer, Loss
from redis_server import RawConnection


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
    put(envelope(layer, "old", 0.0))
    put(envelope(layer, "old", 0.0))
    await layer.send(channel, "takes their place")
    assert await within(layer.receive(channel)) == "takes their place"
    put(envelope(layer, "old", 0.0))
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
