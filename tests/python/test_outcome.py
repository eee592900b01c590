"""What publish() of the asyncio interface gives: a future and a coroutine at once."""

import asyncio
import contextvars
import gc
import os
import signal
import sys
import threading
import weakref

import fanwire
import pytest
from conftest import until, within


@pytest.fixture
async def bus(memory_url):
    async with fanwire.connect(memory_url) as bus:
        await within(bus.subscribe("a", lambda message: None).ready)
        yield bus


@pytest.fixture
async def reported():
    """What the event loop's exception handler is told."""
    contexts = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))
    return contexts


async def test_gather_makes_no_tasks(bus):
    before = asyncio.all_tasks()
    gathered = asyncio.gather(*[bus.publish("a", str(i)) for i in range(100)])
    assert asyncio.all_tasks() == before
    assert await within(gathered) == [1] * 100


async def test_everything_that_takes_an_awaitable(bus):
    loop = asyncio.get_running_loop()
    assert await bus.publish("a", "x") == 1
    assert await asyncio.create_task(bus.publish("a", "x")) == 1
    assert await loop.create_task(bus.publish("a", "x")) == 1
    assert await asyncio.ensure_future(bus.publish("a", "x")) == 1
    assert await asyncio.shield(bus.publish("a", "x")) == 1
    assert await asyncio.wait_for(bus.publish("a", "x"), 20) == 1
    assert [await done for done in asyncio.as_completed([bus.publish("a", "x") for _ in range(3)])] == [1, 1, 1]
    done, pending = await asyncio.wait([asyncio.create_task(bus.publish("a", "x"))])
    assert [outcome.result() for outcome in done] == [1] and not pending
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.publish("a", "x"))
    assert task.result() == 1
    outcome = bus.publish("a", "x")
    assert asyncio.isfuture(outcome) and asyncio.iscoroutine(outcome)
    assert await asyncio.gather(outcome, outcome) == [1, 1]
    assert [await outcome, await outcome] == [1, 1]


async def test_many_may_wait_for_one_outcome(bus):
    outcome = bus.publish("a", "x")

    async def wait():
        return await outcome

    assert await within(asyncio.gather(*[wait() for _ in range(10)])) == [1] * 10


def test_the_loop_runs_it_by_itself(memory_url):
    with asyncio.Runner() as runner:

        async def open_bus():
            return await fanwire.connect(memory_url)

        bus = runner.run(open_bus())
        assert runner.get_loop().run_until_complete(bus.publish("a", "x")) == 0
        runner.run(bus.close())


async def test_from_another_thread(bus):
    loop = asyncio.get_running_loop()
    results = []

    def other():
        results.append(asyncio.run_coroutine_threadsafe(bus.publish("a", "x"), loop).result(20))

    thread = threading.Thread(target=other)
    thread.start()
    await until(lambda: results)
    thread.join()
    assert results == [1]


async def test_a_refused_publish_raises_when_it_is_awaited(bus):
    refused = bus.publish("", "x")
    assert refused.done() and not refused.cancelled()
    for _ in range(2):
        with pytest.raises(fanwire.InvalidChannelError):
            await refused
    results = await asyncio.gather(bus.publish("a", "x"), bus.publish("", "x"), return_exceptions=True)
    assert results[0] == 1 and type(results[1]) is fanwire.InvalidChannelError
    with pytest.raises(fanwire.InvalidArgumentError):
        await bus.publish("a", object())
    with pytest.raises(fanwire.InvalidArgumentError):
        await asyncio.gather(bus.publish("a", "x"), bus.publish(1, "x"))


async def test_a_traceback_does_not_grow_with_those_who_look(bus):
    def depth(error):
        count, traceback = 0, error.__traceback__
        while traceback is not None:
            count, traceback = count + 1, traceback.tb_next
        return count

    refused = bus.publish("", "x")
    depths = set()
    for _ in range(5):
        try:
            await refused
        except fanwire.InvalidChannelError as error:
            depths.add(depth(error))
    assert len(depths) == 1


async def test_the_wrong_number_of_arguments(bus):
    with pytest.raises(TypeError):
        bus.publish("a")
    with pytest.raises(TypeError):
        bus._publisher.publish("a")
    with pytest.raises(TypeError):
        bus._publisher.publish_nowait("a", "b", "c")
    with pytest.raises(TypeError):
        fanwire._native.Outcome()


async def test_a_failure_nobody_looks_at_is_reported(bus, reported):
    bus.publish("", "x")
    gc.collect()
    assert [type(context["exception"]) for context in reported] == [fanwire.InvalidChannelError]
    assert "never" in reported[0]["message"]
    del reported[:]
    assert isinstance(bus.publish("", "x").exception(), fanwire.InvalidChannelError)
    gc.collect()
    assert reported == []


async def test_cancelling_gives_up_the_outcome_and_not_the_publish(bus, reported):
    got = []
    await within(bus.subscribe("b", lambda message: got.append(message.text)).ready)
    outcome = bus.publish("b", "sent")
    assert outcome.cancel("no more") is True
    assert outcome.cancel() is False
    assert outcome.done() and outcome.cancelled()
    with pytest.raises(asyncio.CancelledError, match="no more"):
        outcome.result()
    with pytest.raises(asyncio.CancelledError):
        await outcome
    await within(bus.publish("b", "after"))
    await until(lambda: got == ["sent", "after"])
    assert reported == []


async def test_a_task_that_waits_can_be_cancelled(own_redis, channel, reported):
    async with fanwire.connect(own_redis.url) as bus:
        own_redis.cli("CLIENT", "PAUSE", "60000", "WRITE")

        async def publish():
            await bus.publish(channel, "x")

        async def publish_many():
            await asyncio.gather(*[bus.publish(channel, "x") for _ in range(50)])

        for function in (publish, publish_many):
            task = asyncio.create_task(function())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        direct = asyncio.create_task(bus.publish(channel, "x"))
        await asyncio.sleep(0)
        direct.cancel()
        with pytest.raises(asyncio.CancelledError):
            await direct
        own_redis.cli("CLIENT", "UNPAUSE")
        assert await within(bus.publish(channel, "x")) == 0
    assert reported == []


async def test_results_before_they_are_known(bus):
    outcome = bus.publish("a", "x")
    assert not outcome.done() and "pending" in repr(outcome)
    with pytest.raises(asyncio.InvalidStateError):
        outcome.result()
    with pytest.raises(asyncio.InvalidStateError):
        outcome.exception()
    await outcome
    assert outcome.done() and outcome.result() == 1 and outcome.exception() is None and "settled: 1" in repr(outcome)
    assert outcome.get_loop() is asyncio.get_running_loop()


async def test_callbacks(bus, reported):
    variable = contextvars.ContextVar("variable")
    calls = []

    def note(name):
        return lambda outcome: calls.append((name, outcome.result(), variable.get(None)))

    outcome = bus.publish("a", "x")
    first, second, third, gone = note("first"), note("second"), note("third"), note("gone")
    variable.set("set")
    outcome.add_done_callback(gone)
    outcome.add_done_callback(first)
    outcome.add_done_callback(gone)
    outcome.add_done_callback(lambda outcome: 1 / 0)
    variable.set("set later")
    outcome.add_done_callback(second)
    outcome.add_done_callback(third, context=contextvars.Context())
    assert outcome.remove_done_callback(gone) == 2
    assert outcome.remove_done_callback(gone) == 0
    await outcome
    await until(lambda: len(calls) == 3)
    assert calls == [("first", 1, "set"), ("second", 1, "set later"), ("third", 1, None)]
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    outcome.add_done_callback(note("late"))
    assert len(calls) == 3  # never at once
    await until(lambda: len(calls) == 4)


async def test_a_callback_in_a_context_that_is_entered(bus):
    """Such a context cannot be entered again: the event loop calls the callback later."""
    calls = []
    context = contextvars.copy_context()

    def on_message(message):
        context.run(fanwire._native.call_back, bus._inbox)

    await within(bus.subscribe("c", on_message).ready)
    outcome = bus.publish("a", "x")
    outcome.add_done_callback(lambda outcome: calls.append(outcome.result()), context=context)
    await within(bus.publish("c", "x"))
    await until(lambda: calls == [1])


async def test_what_a_callback_must_be_given(bus):
    outcome = bus.publish("a", "x")
    for call in (
        lambda: outcome.add_done_callback(),
        lambda: outcome.add_done_callback(print, None),
        lambda: outcome.add_done_callback(print, other=None),
        lambda: outcome.cancel(1, 2),
        lambda: outcome.cancel(other=1),
    ):
        with pytest.raises(TypeError):
            call()
    assert await outcome == 1


def test_system_exit_in_a_callback_ends_the_loop_and_loses_no_other(memory_url):
    calls = []

    async def open_bus():
        return await fanwire.connect(memory_url)

    async def publish_and_wait():
        for i in range(5):
            outcome = bus.publish("a", "x")
            if i == 2:
                outcome.add_done_callback(lambda outcome: sys.exit(3))
            outcome.add_done_callback(lambda outcome, i=i: calls.append(i))
        await within(asyncio.Event().wait())

    async def all_called():
        await until(lambda: len(calls) == 5)

    loop = asyncio.new_event_loop()
    bus = loop.run_until_complete(open_bus())
    with pytest.raises(SystemExit):
        loop.run_until_complete(publish_and_wait())
    loop.run_until_complete(all_called())
    assert sorted(calls) == [0, 1, 2, 3, 4]
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(bus.close())
    loop.close()


async def test_those_who_wait_when_the_bus_closes_hear_of_it(own_redis):
    bus = await fanwire.connect(own_redis.url)
    own_redis.cli("CLIENT", "PAUSE", "60000", "WRITE")
    outcomes = [bus.publish("a", str(i)) for i in range(20)]
    gathered = asyncio.gather(*outcomes, return_exceptions=True)
    with pytest.raises(fanwire.TimeoutError):
        await bus.close(0.1)
    results = await within(gathered)
    assert all(isinstance(result, fanwire.FanwireError) for result in results)
    with pytest.raises(fanwire.ClosedError):
        await bus.publish("a", "x")


async def test_a_pending_outcome_does_not_keep_a_lost_bus_alive(own_redis, recwarn):
    """Outcome, its callbacks, who awaits it and the bus refer to each other."""
    bus = await fanwire.connect(own_redis.url)
    own_redis.cli("CLIENT", "PAUSE", "60000", "WRITE")
    outcome = bus.publish("a", "x")
    outcome.add_done_callback(lambda outcome, bus=bus: None)
    lost = weakref.ref(outcome)
    with pytest.raises(fanwire.TimeoutError):
        await bus.close(0)
    with pytest.raises(fanwire.FanwireError):
        await outcome
    del bus, outcome
    await until(lambda: gc.collect() is not None and lost() is None)


def test_under_uvloop(own_redis, channel):
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with fanwire.connect(own_redis.url) as bus:
            stream = bus.subscribe(channel)
            await within(stream.ready)
            assert await within(asyncio.gather(*[bus.publish(channel, str(i)) for i in range(200)])) == [1] * 200
            assert await within(asyncio.create_task(bus.publish(channel, "200"))) == 1
            own_redis.cli("CLIENT", "PAUSE", "60000", "WRITE")
            task = asyncio.create_task(bus.publish(channel, "201"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            own_redis.cli("CLIENT", "UNPAUSE")
            return [(await within(anext(stream))).text for _ in range(202)]

    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(main()) == [str(i) for i in range(202)]
    finally:
        loop.close()


# ---- Whether a publish without an outcome may have happened all the same


async def test_a_cancelled_publish_may_have_happened(bus):
    outcome = bus.publish("a", "x")
    outcome.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough") as caught:
        await outcome
    assert caught.value.may_have_happened is True

    seen = []

    async def publish():
        try:
            await bus.publish("a", "x")
        except asyncio.CancelledError as error:
            seen.append(error.may_have_happened)
            raise

    task = asyncio.ensure_future(publish())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [True]


async def test_a_refused_publish_has_not_happened(bus):
    with pytest.raises(fanwire.InvalidChannelError) as caught:
        await bus.publish("", "x")
    assert caught.value.may_have_happened is False
    await bus.close()
    with pytest.raises(fanwire.ClosedError) as caught:
        await bus.publish("a", "x")
    assert caught.value.may_have_happened is False


async def test_a_publish_without_an_answer_may_have_happened(own_redis):
    """Written, then the connection breaks before Redis says what became of it."""
    async with fanwire.connect(own_redis.url) as bus:
        os.kill(own_redis._process.pid, signal.SIGSTOP)
        written = bus.stats()["bytes_out"]
        outcome = bus.publish("a", "x")
        await until(lambda: bus.stats()["bytes_out"] > written and bus.stats()["publish_unsent"] == 0)
        own_redis.kill()
        with pytest.raises(fanwire.OutcomeUnknownError) as caught:
            await outcome
        assert caught.value.may_have_happened is True


@pytest.mark.parametrize("interface", ["bus", "client"])
async def test_the_timeout_of_one_publish(own_redis, interface):
    """Instead of the setting, which is a minute here."""
    settings = {"publish_timeout_ms": 60_000, "reconnect_delay_ms": 20, "max_reconnect_delay_ms": 50}
    async with fanwire.open(own_redis.url, **settings) as bus, fanwire.Engine(own_redis.url, **settings) as client:
        await within(bus.opened)
        await within(client.bus().opened)

        async def publish(timeout):
            if interface == "bus":
                return await bus.publish("a", "x", timeout=timeout)
            return await asyncio.to_thread(client.publish, "a", "x", timeout=timeout)

        assert await within(publish(10)) == 0
        os.kill(own_redis._process.pid, signal.SIGSTOP)
        with pytest.raises(fanwire.OutcomeUnknownError) as caught:  # written, and not answered
            await within(publish(0.05))
        assert caught.value.may_have_happened is True
        own_redis.kill()
        await until(lambda: not bus.connected and not client.connected)
        with pytest.raises(fanwire.TimeoutError) as caught:
            await within(publish(0.05))
        assert caught.value.may_have_happened is False
        await asyncio.to_thread(own_redis.start)
        assert await within(publish(None)) == 0
        assert (bus if interface == "bus" else client).stats()["publish_ok"] == 2


@pytest.mark.parametrize("timeout", [0, -1, "1", True, float("nan")])
async def test_what_is_no_timeout(bus, timeout):
    with pytest.raises(fanwire.InvalidArgumentError, match="timeout"):
        bus.publish("a", "x", timeout=timeout)
    with fanwire.Client("memory://") as client, pytest.raises(fanwire.InvalidArgumentError, match="timeout"):
        client.publish("a", "x", timeout=timeout)
    assert bus.stats()["publish_ok"] == 0


async def test_unknown_arguments_are_refused(bus):
    with fanwire.Client("memory://") as client:
        for publish in (bus.publish, bus.publish_nowait, client.publish, client.publish_nowait):
            with pytest.raises(TypeError):
                publish("a", "x", retries=3)
            with pytest.raises(TypeError):
                publish("a", "x", 1, 2)
    with pytest.raises(TypeError):
        bus.publish("a", "x", 1)
