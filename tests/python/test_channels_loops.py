"""Channel layers without a Redis, in event loops that come and go, and in threads."""

import asyncio
import gc
import os
import threading

import fanwire
import pytest
from asgiref.sync import async_to_sync
from channels_support import MESSAGE, connections, layer, make_layer, subscribed  # noqa: F401
from conftest import DEADLINE_S, until, until_blocking, within
from fanwire.channels import FanwireChannelLayer


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
        gc.collect()  # those of closed engines go with the objects
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
        assert list(layer._layers) == [loop]
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
