"""A bus used where it does not belong: a clear error, before anything is sent."""

import asyncio
import copy
import gc
import pickle
import threading

import anyio
import fanwire
import pytest
import uvloop
from conftest import DEADLINE_S, until, within


def in_thread(function):
    """What it returns, called in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(DEADLINE_S)
    return results[0]


async def refused(call):
    """The error that a call, or awaiting what it returns, raises."""
    with pytest.raises(fanwire.WrongLoopError) as caught:
        await call()
    assert isinstance(caught.value, RuntimeError)
    return str(caught.value)


async def uses(bus, handled, stream):
    """Everything that belongs to the loop, tried where it does not belong."""

    async def call(function):
        return function()

    return {
        await refused(lambda: bus.publish("a", "wrong")),
        await refused(lambda: call(lambda: bus.publish_nowait("a", "wrong"))),
        await refused(lambda: call(lambda: bus.subscribe("b"))),
        await refused(lambda: call(lambda: bus.psubscribe("b*", print))),
        await refused(lambda: _await(bus.opened)),
        await refused(bus.close),
        await refused(bus.__aenter__),
        await refused(lambda: _await(handled.ready)),
        await refused(lambda: _await(stream.ready)),
        await refused(lambda: anext(stream)),
        await refused(lambda: anext(stream.events())),
        await refused(lambda: anext(stream.batches())),
        await refused(lambda: call(handled.unsubscribe)),
        await refused(lambda: call(stream.unsubscribe)),
    }


async def _await(awaitable):
    return await awaitable


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@LOOPS
def test_a_second_loop_in_the_same_thread(memory_url, new_loop):
    """The first one stands still meanwhile."""
    got = []
    with asyncio.Runner(loop_factory=new_loop) as first:

        async def open_bus():
            bus = fanwire.open(memory_url)
            handled = bus.subscribe("a", lambda message: got.append(message.text))
            await within(handled.ready)
            return bus, handled, bus.subscribe("a")

        bus, handled, stream = first.run(open_bus())
        with asyncio.Runner(loop_factory=new_loop) as second:
            texts = second.run(uses(bus, handled, stream))
        assert len(texts) == 1 and "another event loop" in texts.pop()

        async def finish():
            assert bus.stats()["publish_ok"] == 0
            assert await within(bus.publish("a", "right")) == 1
            assert (await within(anext(stream))).text == "right"
            await bus.close()

        first.run(finish())
    assert got == ["right"]


@LOOPS
def test_another_thread(memory_url, new_loop):
    """With a loop of its own, or without one."""

    async def main():
        async with fanwire.open(memory_url) as bus:
            handled, stream = bus.subscribe("a", print), bus.subscribe("a")

            def use():
                with asyncio.Runner(loop_factory=new_loop) as runner:
                    texts = runner.run(uses(bus, handled, stream))
                for call in (
                    lambda: bus.publish_nowait("a", "wrong"),
                    lambda: bus.subscribe("b"),
                    lambda: handled.unsubscribe(),
                ):
                    with pytest.raises(fanwire.WrongLoopError, match="another thread"):
                        call()
                assert (bus.connected, bus.health().ok, bus.stats()["publish_ok"]) == (True, True, 0)
                return texts

            texts = await asyncio.to_thread(in_thread, use)
            assert all("another event loop" in text for text in texts)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


async def test_run_coroutine_threadsafe(memory_url):
    """What the error recommends."""
    loop = asyncio.get_running_loop()
    async with fanwire.open(memory_url) as bus:
        await within(bus.subscribe("a", print).ready)

        def publish():
            return asyncio.run_coroutine_threadsafe(bus.publish("a", "x"), loop).result(DEADLINE_S)

        assert await asyncio.to_thread(publish) == 1


def test_between_two_runs_and_after_the_last(memory_url):
    """As programs that drive their loop by run_until_complete() do."""
    with asyncio.Runner() as runner:

        async def open_bus():
            return fanwire.open(memory_url)

        bus = runner.run(open_bus())
        handled = bus.subscribe("a", print)
        bus.publish_nowait("a", "x")
        outcome = bus.publish("a", "y")
        assert runner.run(_await(outcome)) == 1
        handled.unsubscribe()
        left = bus.subscribe("b")
    for use in (lambda: bus.publish_nowait("a", "x"), lambda: bus.subscribe("a")):
        with pytest.raises(fanwire.WrongLoopError, match="closed"):
            use()
    left.unsubscribe()
    with pytest.warns(ResourceWarning, match="unclosed"):
        del bus, handled, left, outcome, use
        gc.collect()  # events that have not been delivered keep their subscription


def test_without_a_loop():
    with pytest.raises(fanwire.WrongLoopError, match="asyncio.run"):
        fanwire.open("memory://")
    with fanwire.Engine("memory://") as engine, pytest.raises(fanwire.WrongLoopError, match="fanwire.Client"):
        engine.bus()


def test_under_trio():
    import trio

    async def main():
        with pytest.raises(fanwire.WrongLoopError, match="trio.*fanwire.Client"):
            fanwire.open("memory://")
        with pytest.raises(fanwire.WrongLoopError, match="trio"):
            await fanwire.connect("memory://")
        with pytest.raises(fanwire.WrongLoopError, match="trio"):
            async with fanwire.connect("memory://"):
                pass
        with fanwire.Client("memory://") as client:  # what the error recommends
            assert await trio.to_thread.run_sync(client.publish, "a", "x") == 0

    trio.run(main)


async def both_interfaces_of_anyio(name):
    """What works under asyncio raises one error, which names it, under trio."""
    uses = [lambda: fanwire.open("memory://"), lambda: fanwire.connect("memory://").__await__().send(None)]
    with fanwire.Engine("memory://") as engine:
        for use in (*uses, engine.bus):
            if name == "trio":
                with pytest.raises(fanwire.WrongLoopError, match="asyncio.*trio runs.*fanwire.Client"):
                    use()
        if name == "asyncio":
            async with fanwire.connect("memory://") as bus, anyio.create_task_group() as group:
                async with bus.subscribe("a") as stream:
                    with anyio.move_on_after(0) as scope:  # cancelled at its first await
                        await anext(stream)
                    assert scope.cancelled_caught
                    group.start_soon(bus.publish, "a", "x")
                    with anyio.fail_after(DEADLINE_S):
                        assert (await anext(stream)).text == "x"
        assert await anyio.to_thread.run_sync(engine.publish, "a", "x") == 0


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_under_anyio(name):
    anyio.run(both_interfaces_of_anyio, name, backend=name)


@pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_connections_are_not_copied(memory_url, function):
    async with fanwire.open(memory_url) as bus, fanwire.Engine(memory_url) as engine:
        with fanwire.Client(memory_url) as client:
            stream, handled = bus.subscribe("a"), client.subscribe("a", print)
            for thing in (bus, engine, client, stream, handled):
                with pytest.raises(TypeError, match="neither copied nor pickled"):
                    function(thing)
            await within(bus.publish("a", "x"))
            message = await within(anext(stream))
            with pytest.raises(TypeError):
                function(message)
        await until(lambda: bus.connected)
