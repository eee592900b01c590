"""Subscriptions of the asyncio interface: handlers, iteration, ready, unsubscribe."""

import asyncio
import functools

import fanwire
import pytest
from conftest import DEADLINE_S, until, within


async def test_a_plain_handler_gets_messages_in_order(url, channel):
    async with fanwire.connect(url) as bus:
        got = []
        subscription = bus.subscribe(channel, lambda message: got.append(message.text))
        await within(subscription.ready)
        for number in range(10):
            await bus.publish(channel, str(number))
        await until(lambda: len(got) == 10)
        assert got == [str(number) for number in range(10)]
        assert subscription.channel == channel
        assert subscription.pattern is None
        assert subscription.state == "active"


async def test_an_async_handler_is_awaited_one_message_after_the_other(url, channel):
    async with fanwire.connect(url) as bus:
        running = 0
        got = []

        async def handler(message):
            nonlocal running
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running -= 1
            got.append(int(message.text))

        await within(bus.subscribe(channel, handler).ready)
        await within(asyncio.gather(*[bus.publish(channel, str(number)) for number in range(500)]))
        await until(lambda: len(got) == 500)
        assert got == list(range(500))


async def test_close_waits_for_async_handlers(url, channel):
    got = []

    async def handler(message):
        await asyncio.sleep(0.01)
        got.append(message.text)

    async with fanwire.connect(url) as bus:
        await within(bus.subscribe(channel, handler).ready)
        for number in range(5):
            await bus.publish(channel, str(number))
        await until(lambda: bus.stats()["delivered"] == 5)  # not before the outcome: it comes by another link
    assert got == ["0", "1", "2", "3", "4"]


async def test_what_is_recognised_as_async(memory_url):
    got = []

    class Callable:
        async def __call__(self, message):
            got.append(message.text)

        async def method(self, message):
            got.append(message.text)

    async def function(_, message):
        got.append(message.text)

    async with fanwire.connect(memory_url) as bus:
        for handler in Callable(), Callable().method, functools.partial(function, 1):
            await within(bus.subscribe("a", handler).ready)
        await bus.publish("a", "x")
        await until(lambda: got == ["x"] * 3)


async def test_an_async_handler_may_close_the_bus(url, channel):
    bus = await within(fanwire.connect(url))
    closed = asyncio.Event()

    async def handler(message):
        await bus.close()
        closed.set()

    await within(bus.subscribe(channel, handler).ready)
    bus.publish_nowait(channel, "x")
    await within(closed.wait())
    await within(bus.close())


@pytest.mark.parametrize("timeout", [DEADLINE_S * 2, None])
async def test_close_does_not_wait_for_a_handler_that_comes_to_close(url, channel, timeout):
    bus = await within(fanwire.connect(url))
    started, go_on = asyncio.Event(), asyncio.Event()
    closing = []

    async def handler(message):
        started.set()
        await go_on.wait()
        closing.append(message.text)
        await bus.close()
        closing.append("closed")

    await within(bus.subscribe(channel, handler).ready)
    bus.publish_nowait(channel, "x")
    await within(started.wait())
    task = asyncio.ensure_future(bus.close(timeout))
    await until(lambda: not bus.connected)
    assert not task.done()
    go_on.set()
    await within(task)
    await until(lambda: closing == ["x", "closed"])


async def test_handlers_that_raise_are_reported_and_delivery_goes_on(url, channel):
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    got = []

    def bad(message):
        raise KeyError("plain")

    async def bad_async(message):
        raise KeyError("async")

    async def cancelled_inside(message):
        raise asyncio.CancelledError

    async with fanwire.connect(url) as bus:
        for handler in bad, bad_async, cancelled_inside, lambda message: got.append(message.text):
            await within(bus.subscribe(channel, handler).ready)
        await bus.publish(channel, "1")
        await bus.publish(channel, "2")
        await until(lambda: len(reports) == 6 and got == ["1", "2"])
    assert sum(isinstance(report["exception"], KeyError) for report in reports) == 4
    assert all("raised" in report["message"] and channel in report["message"] for report in reports)
    assert {report["received"].text for report in reports} == {"1", "2"}


def _cancelled(*_):
    """As .result() of a cancelled future."""
    raise asyncio.CancelledError


async def test_a_handler_that_raises_cancelled_error_stalls_nothing_else(url, channel):
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))
    async with fanwire.connect(url, on_event=_cancelled) as bus:
        await within(bus.subscribe(channel, _cancelled, on_event=_cancelled).ready)
        stream = bus.subscribe(channel)
        await within(stream.ready)
        for number in range(3):
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            bus.publish_nowait(channel, str(number))
            assert (await within(waiting)).text == str(number)
        await until(lambda: bus.stats()["delivered"] == 6)
    # One for each message, and those for `connected`, `active` and `ended`, perhaps `disconnected`.
    assert len(reports) >= 6
    assert {type(report) for report in reports} == {asyncio.CancelledError}


async def test_a_handler_that_raises_cancelled_error_does_not_cut_close_short(memory_url):
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bus = await within(fanwire.connect(memory_url))
    await within(bus.subscribe("a", _cancelled).ready)
    for _ in range(900):  # more than one batch
        bus.publish_nowait("a", "x")
    outcomes = [asyncio.ensure_future(bus.publish("a", "x")) for _ in range(5)]
    await asyncio.sleep(0)
    await within(bus.close())
    assert await within(asyncio.gather(*outcomes)) == [1] * 5


async def test_an_on_event_that_raises_cancelled_error_ends_no_async_handler(url, channel):
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    got = []

    async def handler(message):
        got.append(message.text)

    async with fanwire.connect(url) as bus:
        subscription = bus.subscribe(channel, handler, on_event=_cancelled)
        await within(subscription.ready)
        await bus.publish(channel, "x")
        await until(lambda: got == ["x"])
        assert subscription.state == "active"


async def test_patterns(url, channel):
    async with fanwire.connect(url) as bus:
        by_pattern = bus.psubscribe(f"{channel}:*")
        await within(by_pattern.ready)
        await bus.publish(f"{channel}:a", "1")
        await bus.publish(channel, "no match")
        await bus.publish(f"{channel}:b", "2")
        one, two = await within(anext(by_pattern)), await within(anext(by_pattern))
        assert (one.channel, one.pattern, one.text) == (f"{channel}:a", f"{channel}:*", "1")
        assert (two.channel, two.pattern_bytes, two.text) == (f"{channel}:b", f"{channel}:*".encode(), "2")
        assert by_pattern.pattern == f"{channel}:*"
        assert by_pattern.channel is None


async def test_ready_may_be_awaited_again_and_together(url, channel):
    async with fanwire.connect(url) as bus:
        for subscription in bus.subscribe(channel), bus.subscribe(channel, print):
            await within(asyncio.gather(*[_wait(subscription) for _ in range(3)]))
            await within(subscription.ready)


async def _wait(subscription):
    await subscription.ready


async def test_ready_of_what_ends_unconfirmed(own_redis):
    async with fanwire.connect(own_redis.url) as bus:
        own_redis.kill()
        await until(lambda: not bus.connected)
        for handler in None, print:
            subscription = bus.subscribe("a", handler)
            waiting = asyncio.ensure_future(_wait(subscription))
            await asyncio.sleep(0)
            assert subscription.state == "pending"
            subscription.unsubscribe()
            with pytest.raises(fanwire.UnsubscribedError):
                await within(waiting)
            with pytest.raises(fanwire.UnsubscribedError):
                await within(subscription.ready)
        left = [bus.subscribe("a"), bus.subscribe("a", print)]
        tasks = [asyncio.ensure_future(_wait(subscription)) for subscription in left]
        await asyncio.sleep(0)
    for task in tasks:
        with pytest.raises(fanwire.ClosedError):
            await within(task)


async def test_ready_of_what_has_ended(url, channel):
    async with fanwire.connect(url) as bus:
        left = [bus.subscribe(channel), bus.subscribe(channel, print)]
        for subscription in left:
            await within(subscription.ready)
    assert [subscription.state for subscription in left] == ["ended", "ended"]
    for subscription in left:
        with pytest.raises(fanwire.ClosedError):
            await within(subscription.ready)


async def test_unsubscribe_ends_delivery_and_iteration(url, channel):
    async with fanwire.connect(url) as bus:
        got = []
        handled = bus.subscribe(channel, lambda message: got.append(message.text))
        stream = bus.subscribe(channel)
        witness = bus.subscribe(channel)
        for subscription in handled, stream, witness:
            await within(subscription.ready)
        await bus.publish(channel, "1")
        await within(anext(witness))
        await until(lambda: got == ["1"])
        handled.unsubscribe()
        stream.unsubscribe()
        await bus.publish(channel, "2")
        await within(anext(witness))
        assert got == ["1"]
        assert [message async for message in stream] == []
        await until(lambda: bus.stats()["subscriptions"] == 1)


@pytest.mark.parametrize("kind", ["stream", "plain", "async"])
async def test_unsubscribe_twice(url, channel, kind):
    async def handler(message):
        pass

    async with fanwire.connect(url) as bus:
        subscription = bus.subscribe(channel, {"stream": None, "plain": print, "async": handler}[kind])
        await within(subscription.ready)
        subscription.unsubscribe()
        with pytest.raises(fanwire.UnsubscribedError, match="unsubscribed"):
            subscription.unsubscribe()
        with pytest.raises(fanwire.UnsubscribedError):
            subscription.unsubscribe()
    with pytest.raises((fanwire.UnsubscribedError, fanwire.ClosedError)):
        subscription.unsubscribe()


async def test_a_handler_may_unsubscribe_in_the_middle_of_a_batch(url, channel):
    async with fanwire.connect(url) as bus:
        got = []

        def handler(message):
            got.append(message.text)
            subscription.unsubscribe()

        subscription = bus.subscribe(channel, handler)
        witness = bus.subscribe(channel)
        await within(subscription.ready)
        await within(witness.ready)
        for number in range(100):
            bus.publish_nowait(channel, str(number))
        for _ in range(100):
            await within(anext(witness))
        await until(lambda: got)  # the witness may have been faster
        assert got == ["0"]


async def test_a_subscription_as_context_manager(url, channel):
    async with fanwire.connect(url) as bus:
        with bus.subscribe(channel) as stream:
            await within(stream.ready)
        with pytest.raises(StopAsyncIteration):
            await within(anext(stream))
        with bus.subscribe(channel) as stream:
            stream.unsubscribe()


async def test_iteration_ends_with_the_bus_after_what_was_received(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        waiting = bus.subscribe(channel)
        collected = asyncio.ensure_future(_collect(waiting))
        await within(waiting.ready)
        for number in range(200):
            await bus.publish(channel, str(number))
        await until(lambda: bus.stats()["delivered"] == 400)
    expected = [str(number) for number in range(200)]
    assert await within(collected) == expected
    assert await within(_collect(stream)) == expected


async def _collect(stream):
    return [message.text async for message in stream]


async def test_two_consumers_share_a_stream(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        tasks = [asyncio.ensure_future(_collect(stream)) for _ in range(2)]
        await within(stream.ready)
        for number in range(100):
            await bus.publish(channel, str(number))
        await until(lambda: bus.stats()["delivered"] == 100)
    texts = await within(asyncio.gather(*tasks))
    assert sorted(texts[0] + texts[1], key=int) == [str(number) for number in range(100)]


async def test_a_cancelled_wait_loses_nothing(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        await bus.publish(channel, "x")
        assert (await within(anext(stream))).text == "x"


async def test_a_busy_stream_lets_others_run(memory_url):
    async with fanwire.connect(memory_url) as bus:
        stream = bus.subscribe("a")
        await within(stream.ready)
        for _ in range(5000):
            await bus.publish("a", "x")
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        for _ in range(5000):
            await anext(stream)
        task.cancel()
        assert turns >= 50


async def test_a_slow_stream_overflows_with_an_exact_gap(url, channel):
    async with fanwire.connect(url, inbox_count=10) as bus:
        events = []
        stream = bus.subscribe(channel, on_event=events.append)
        await within(stream.ready)
        for number in range(500):
            await bus.publish(channel, str(number))
        items = []
        async for item in stream.events():
            items.append(item)
            if isinstance(item, fanwire.Message) and item.text == "499":
                break
    messages = [item for item in items if isinstance(item, fanwire.Message)]
    gaps = [item for item in items if isinstance(item, fanwire.Event) and item.kind == "gap"]
    assert gaps and all(gap.reason == "overflow" for gap in gaps)
    assert len(messages) + sum(gap.count for gap in gaps) == 500
    assert items[0] == fanwire.Event("active")
    assert events == [item for item in items if isinstance(item, fanwire.Event)]


async def test_a_slow_async_handler_overflows_with_an_exact_gap(memory_url):
    async with fanwire.connect(memory_url, inbox_count=10) as bus:
        gate = asyncio.Event()
        got, events = [], []

        async def handler(message):
            await gate.wait()
            got.append(message.text)

        await within(bus.subscribe("a", handler, on_event=events.append).ready)
        for number in range(1000):
            await bus.publish("a", str(number))
        gate.set()
        await until(lambda: "999" in got)
    gaps = [event for event in events if event.kind == "gap"]
    assert gaps and len(got) + sum(gap.count for gap in gaps) == 1000
    assert got == sorted(got, key=int)


async def test_thousands_of_subscriptions_need_no_descriptors(memory_url):
    import os

    async def handler(message):
        got.append(message.channel)

    got = []
    async with fanwire.connect(memory_url) as bus:
        before = len(os.listdir("/proc/self/fd"))
        streams = [bus.subscribe(f"s{number}") for number in range(2000)]
        handled = [bus.subscribe(f"h{number}", handler) for number in range(2000)]
        await within(streams[-1].ready)
        await within(handled[-1].ready)
        assert len(os.listdir("/proc/self/fd")) - before < 10
        for number in range(2000):
            bus.publish_nowait(f"s{number}", "x")
            bus.publish_nowait(f"h{number}", "x")
        for stream in streams:
            await within(anext(stream))
        await until(lambda: len(got) == 2000)


async def test_events_are_over_at_the_end_which_on_event_hears_of(url, channel):
    told = []
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel, on_event=lambda event: told.append(event.kind))
        await within(stream.ready)
    assert [item.kind async for item in stream.events()] == ["active"]
    assert told == ["active", "ended"]


async def test_a_dropped_stream_is_unsubscribed(url, channel):
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe(channel)
        await within(stream.ready)
        del stream
        await until(lambda: bus.stats()["subscriptions"] == 0)


async def test_on_event_tells_the_end_and_may_raise(url, channel):
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["exception"]))
    kinds = {"plain": [], "async": []}

    def note(kind):
        def on_event(event):
            kinds[kind].append(event.kind)
            raise LookupError(event.kind)

        return on_event

    async def handler(message):
        pass

    async with fanwire.connect(url) as bus:
        await within(bus.subscribe(channel, print, on_event=note("plain")).ready)
        subscription = bus.subscribe(channel, handler, on_event=note("async"))
        await within(subscription.ready)
        subscription.unsubscribe()
        del subscription
        await until(lambda: kinds["async"] == ["active", "ended"])
    assert kinds["plain"] == ["active", "ended"]
    assert [type(report) for report in reports] == [LookupError] * 4


async def test_unsubscribing_hides_no_event_that_came_before(url, channel):
    """Also when nobody had the time to be told of it."""
    kinds = []

    async def handler(message):
        pass

    async with fanwire.connect(url) as bus:
        subscription = bus.subscribe(channel, handler, on_event=lambda event: kinds.append(event.kind))
        await subscription.ready  # by itself: then this goes on before the handler's task does
        subscription.unsubscribe()
        await until(lambda: "ended" in kinds)
    assert kinds == ["active", "ended"]
