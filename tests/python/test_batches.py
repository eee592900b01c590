"""batches(): messages in lists, by both interfaces."""

import asyncio
import threading

import fanwire
import pytest
from conftest import until, until_blocking, within


async def publish_numbers(bus, channel, count):
    for number in range(count):
        bus.publish_nowait(channel, str(number))
    await within(bus.publish(channel, "end"))


async def collect(batches):
    """All batches up to the message "end"."""
    collected = []
    async for batch in batches:
        collected.append(batch)
        if batch[-1].text == "end":
            return collected
    raise AssertionError("the iteration ended before")


def texts(batches):
    return [message.text for batch in batches for message in batch]


def numbers(count):
    return [str(number) for number in range(count)] + ["end"]


@pytest.mark.parametrize("max_size", [1, 7, 64, 512, 100_000])
async def test_batches_have_all_messages_in_order(url, channel, max_size):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        await publish_numbers(bus, channel, 2000)
        batches = await within(collect(stream.batches(max_size)))
    assert texts(batches) == numbers(2000)
    assert all(1 <= len(batch) <= max_size for batch in batches)
    assert max_size == 1 or max(map(len, batches)) > 1
    assert {message.channel for batch in batches for message in batch} == {channel}


async def test_batches_of_a_pattern(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.psubscribe(channel + "*")
        await within(stream.ready)
        await publish_numbers(bus, channel + "-é", 10)
        batches = await within(collect(stream.batches()))
    messages = [message for batch in batches for message in batch]
    assert {(message.channel, message.pattern) for message in messages} == {(channel + "-é", channel + "*")}


async def test_a_batch_does_not_wait_to_be_full(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        batches = stream.batches()
        await within(stream.ready)
        for text in ("one", "two"):
            await within(bus.publish(channel, text))
            assert [message.text for message in await within(anext(batches))] == [text]


async def test_a_batch_ends_where_an_event_stands(memory_url):
    log = []
    async with fanwire.connect(memory_url, inbox_count=10) as bus:
        stream = bus.subscribe("a", on_event=lambda event: log.append(event.kind if event.count is None else event))
        await within(stream.ready)
        await publish_numbers(bus, "a", 500)
        async for batch in stream.batches():
            log.extend(message.text for message in batch)
            if log[-1] == "end":
                break
    assert log[0] == "active"
    position = 0  # the number that comes next; "end" is number 500
    gaps = 0
    for entry in log[1:]:
        if isinstance(entry, fanwire.Event):
            assert (entry.kind, entry.reason) == ("gap", "overflow")
            position += entry.count
            gaps += 1
        else:
            assert entry == ("end" if position == 500 else str(position))
            position += 1
    assert gaps >= 1 and position == 501


async def test_batches_end_with_the_bus_after_what_was_received(memory_url):
    events = []
    async with fanwire.connect(memory_url) as bus:
        stream = bus.subscribe("a", on_event=lambda event: events.append(event.kind))
        await within(stream.ready)
        await publish_numbers(bus, "a", 100)
    batches = [batch async for batch in stream.batches(30)]
    assert texts(batches) == numbers(100)
    assert events == ["active", "ended"]


async def test_unsubscribing_in_between_ends_batches(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        await publish_numbers(bus, channel, 1000)
        seen = []
        async for batch in stream.batches(10):
            seen.append(batch)
            stream.unsubscribe()
        assert texts(seen) == numbers(1000)[:10]
        assert [message async for message in stream] == []


async def test_batches_and_messages_come_from_one_queue(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        await publish_numbers(bus, channel, 300)
        batches = stream.batches(50)
        seen = []
        while not seen or seen[-1] != "end":
            seen.append((await within(anext(stream))).text)
            if seen[-1] != "end":
                seen += [message.text for message in await within(anext(batches))]
    assert seen == numbers(300)


async def test_a_cancelled_wait_for_a_batch_loses_nothing(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream.batches()), 0.01)
        await publish_numbers(bus, channel, 3)
        assert texts(await within(collect(stream.batches()))) == numbers(3)


async def test_busy_batches_let_others_run(memory_url):
    async with fanwire.connect(memory_url) as bus:
        stream = bus.subscribe("a")
        await within(stream.ready)
        await publish_numbers(bus, "a", 5000)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        await within(collect(stream.batches(100)))
        task.cancel()
        assert turns >= 45


@pytest.mark.parametrize("max_size", [0, -1, True, 1.5, "1", None])
async def test_what_is_no_size(memory_url, max_size):
    async with fanwire.connect(memory_url) as bus:
        with pytest.raises(fanwire.InvalidArgumentError):
            bus.subscribe("a").batches(max_size)
    with fanwire.Client(memory_url) as client:
        with pytest.raises(fanwire.InvalidArgumentError):
            client.subscribe("a").batches(max_size)


@pytest.mark.parametrize("max_size", [1, 7, 512, 100_000])
def test_blocking_batches_have_all_messages_in_order(url, channel, max_size):
    with fanwire.Client(url) as client:
        stream = client.subscribe(channel)
        stream.wait_ready()
        for number in range(2000):
            client.publish_nowait(channel, str(number))
        client.publish(channel, "end")
        batches = []
        for batch in stream.batches(max_size):
            batches.append(batch)
            if batch[-1].text == "end":
                break
    assert texts(batches) == numbers(2000)
    assert all(1 <= len(batch) <= max_size for batch in batches)


def test_blocking_batches_tell_events_in_their_place(memory_url):
    log = []
    with fanwire.Client(memory_url, inbox_count=10) as client:
        stream = client.subscribe("a", on_event=lambda event: log.append(event.kind))
        stream.wait_ready()
        for number in range(500):
            client.publish_nowait("a", str(number))
        client.publish("a", "end")
    for batch in stream.batches():
        log.append(len(batch))
    # The last message is there, and those before it up to what the inbox holds.
    assert log[0] == "active" and log[-1] == "ended" and "gap" in log
    assert sum(entry for entry in log if isinstance(entry, int)) >= 1


def test_blocking_batches_shared_by_threads(url, channel):
    with fanwire.Client(url) as client:
        stream = client.subscribe(channel)
        stream.wait_ready()
        seen = [[], []]

        def consume(mine):
            for batch in stream.batches(10):
                mine.extend(int(message.text) for message in batch)

        threads = [threading.Thread(target=consume, args=(mine,)) for mine in seen]
        for thread in threads:
            thread.start()
        for number in range(3000):
            client.publish_nowait(channel, str(number))
        until_blocking(lambda: len(seen[0]) + len(seen[1]) == 3000)
    for thread in threads:
        thread.join()
    assert sorted(seen[0] + seen[1]) == list(range(3000))
    assert all(mine == sorted(mine) for mine in seen)


async def test_a_dropped_iterator_of_batches_unsubscribes(url, channel):
    async with fanwire.connect(url) as bus:
        batches = bus.subscribe(channel).batches()
        await until(lambda: bus.stats()["subscriptions"] == 1)
        del batches
        await until(lambda: bus.stats()["subscriptions"] == 0)
