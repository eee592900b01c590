"""One engine, many loops and threads."""

import asyncio
import gc
import os
import threading
import weakref

import fanwire
import pytest
import uvloop
from asgiref.sync import async_to_sync
from child import run
from conftest import DEADLINE_S, until, until_blocking, within


@pytest.fixture
def engine(url):
    with fanwire.Engine(url) as engine:
        yield engine


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_a_loop_has_one_bus(engine, channel):
    async def main():
        bus = engine.bus()
        assert engine.bus() is bus
        await within(bus.opened)
        stream = bus.subscribe(channel)
        await within(stream.ready)
        assert await within(bus.publish(channel, "x")) == 1
        assert (await within(anext(stream))).text == "x"
        return bus

    first = asyncio.run(main())
    assert asyncio.run(main()) is not first


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_bus_goes_with_its_loop(engine, channel, new_loop):
    """At once, not when the garbage collector comes; with it also its subscriptions."""
    buses = []

    async def publish():
        buses.append(weakref.ref(engine.bus()))
        engine.bus().publish_nowait(channel, "x")
        await within(engine.bus().publish(channel, "x"))

    async def subscribe():
        buses.append(weakref.ref(engine.bus()))
        stream = engine.bus().subscribe(channel)
        await within(engine.bus().subscribe(channel, lambda message: stream).ready)
        await within(stream.ready)

    def once(coroutine):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(coroutine)

    once(publish())
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        for _ in range(20):
            once(publish())
        assert [bus() for bus in buses] == [None] * 21
        assert descriptors() == before
    finally:
        gc.enable()
    for _ in range(3):
        once(subscribe())
    gc.collect()
    assert [bus() for bus in buses] == [None] * 24
    until_blocking(lambda: engine.stats()["subscriptions"] == 0)
    assert descriptors() == before


def test_loops_in_many_threads_and_threads_without_a_loop(engine, channel):
    each = 50
    got = []
    engine.subscribe(channel, lambda message: got.append(message.text)).wait_ready()

    async def publish(name):
        for number in range(each):
            await within(engine.bus().publish(channel, f"{name} {number}"))

    def block(name):
        for number in range(each):
            engine.publish(channel, f"{name} {number}")

    threads = [threading.Thread(target=lambda name=name: asyncio.run(publish(name))) for name in range(4)]
    threads += [threading.Thread(target=block, args=(name,)) for name in range(4, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    until_blocking(lambda: len(got) == 8 * each)
    for name in range(8):
        assert [text for text in got if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(each)]


def test_as_django_sends(engine, channel):
    """A new loop for each call."""
    got = []
    engine.subscribe(channel, lambda message: got.append(message.json())).wait_ready()

    async def send(value):
        return await engine.bus().publish(channel, value)

    for number in range(100):
        assert async_to_sync(send)({"n": number}) == 1
    until_blocking(lambda: len(got) == 100)
    assert got == [{"n": number} for number in range(100)]


def test_a_loop_that_is_dropped_without_being_closed(engine, channel):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_publish(engine, channel))
    bus = weakref.ref(engine._buses[id(loop)])
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        del loop
        gc.collect()
    assert bus() is None


async def _publish(engine, channel):
    return await within(engine.bus().publish(channel, "x"))


async def test_closing_a_bus_leaves_the_engine(url, channel):
    async with fanwire.Engine(url) as engine:
        kinds = []
        bus = engine.bus()
        handled = bus.subscribe(channel, print, on_event=lambda event: kinds.append(event.kind))
        stream = bus.subscribe(channel)
        await within(handled.ready)
        await within(stream.ready)
        outcomes = [bus.publish("elsewhere", str(number)) for number in range(100)]
        await within(bus.close())
        await within(bus.close())
        assert [await outcome for outcome in outcomes] == [0] * 100
        assert (kinds, [message async for message in stream]) == (["active", "ended"], [])
        with pytest.raises(fanwire.ClosedError):
            await bus.publish(channel, "x")
        with pytest.raises(fanwire.ClosedError):
            bus.publish_nowait(channel, "x")
        with pytest.raises(fanwire.ClosedError):
            bus.subscribe(channel)
        assert engine.bus() is not bus
        assert await within(engine.bus().publish("elsewhere", "x")) == 0
        assert engine.stats()["disconnects"] == 0


async def test_closing_a_bus_while_outcomes_are_missing(own_redis):
    async with fanwire.Engine(own_redis.url, reconnect_delay_ms=20) as engine:
        await within(engine.bus().opened)
        own_redis.kill()
        await until(lambda: not engine.connected)
        bus = engine.bus()
        outcome = bus.publish("a", "x")
        with pytest.raises(fanwire.TimeoutError, match="1 publishes have no outcome"):
            await within(bus.close(0.01))
        with pytest.raises(fanwire.OutcomeUnknownError):
            await outcome
        await asyncio.to_thread(own_redis.start)
        await until(lambda: engine.stats()["publish_ok"] == 1)  # it was accepted, so it is sent


async def test_closing_the_engine_ends_what_its_buses_have(url, channel):
    engine = fanwire.Engine(url)
    bus = engine.bus()
    stream = bus.subscribe(channel)
    await within(stream.ready)
    await within(engine.aclose())
    await within(engine.aclose())
    assert [message async for message in stream] == []
    with pytest.raises(fanwire.ClosedError):
        await within(stream.ready)
    with pytest.raises(fanwire.ClosedError):
        await bus.publish(channel, "x")
    del bus, stream
    with pytest.raises(fanwire.ClosedError):
        await fanwire.Engine.bus(engine).publish(channel, "x")


def test_a_closed_engine_has_no_buses(memory_url):
    engine = fanwire.Engine(memory_url)
    engine.close()

    async def main():
        with pytest.raises(fanwire.ClosedError, match="engine is closed"):
            engine.bus()

    asyncio.run(main())


async def test_what_the_connection_does(own_redis):
    events = []
    async with fanwire.Engine(own_redis.url, on_event=lambda event: events.append(event.kind)) as engine:
        await within(engine.bus().opened)
        await until(lambda: events == ["connected"])
        own_redis.kill()
        await until(lambda: "disconnected" in events)
    assert repr(engine).startswith("<fanwire.Engine ")


async def test_opened_of_an_engine_without_a_server(own_redis):
    own_redis.kill()
    async with fanwire.Engine(own_redis.url) as engine:
        with pytest.raises(fanwire.ConnectFailedError):
            await within(engine.bus().opened)


def test_fork(url):
    done = run(
        """
        engine = fanwire.Engine(url, wait=True)

        async def publish():
            return await engine.bus().publish("a", "x")

        assert asyncio.run(publish()) == 0
        if (child := os.fork()) == 0:
            try:
                asyncio.run(publish())
            except fanwire.ForkedError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert asyncio.run(publish()) == 0
        engine.close()
        """,
        url,
        options=("-W", "ignore::DeprecationWarning"),  # of a fork with threads
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_exit_with_everything_open(url):
    done = run(
        """
        engine = fanwire.Engine(url, wait=True)

        def serve():
            async def main():
                engine.bus().subscribe("a", lambda message: engine.bus().publish_nowait("b", "y"))
                stream = engine.bus().subscribe("b")
                await stream.ready
                ready.set()
                async for message in stream:
                    pass

            asyncio.run(main())

        ready = threading.Event()
        threading.Thread(target=serve, daemon=True).start()
        assert ready.wait(20)
        for _ in range(100):
            engine.publish_nowait("a", "x")
        """,
        url,
    )
    assert done.stderr.count("ResourceWarning: unclosed <fanwire.Engine") == 1
