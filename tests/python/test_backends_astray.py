"""Backends that do what they should not: nothing is lost in silence, stuck for good or kept without a limit."""

import asyncio
import gc
import os
import threading
import time

import fanwire
import pytest
import pytest_asyncio
from conftest import DEADLINE_S, until
from fanwire._backend_driver import Driver
from fanwire._settings import make_options
from test_backends import Memory, kinds


async def in_thread(call, *arguments):
    await asyncio.get_running_loop().run_in_executor(None, lambda: call(*arguments))


@pytest_asyncio.fixture
async def unhandled():
    """What asyncio is told of that nobody has handled."""
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    yield reports
    gc.collect()
    assert not reports


async def test_reports_from_another_thread():
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        stream = bus.subscribe("a")
        await stream.ready
        items = stream.events()
        assert (await anext(items)).kind == "active"
        for i in range(100):
            await in_thread(memory.reports.message, b"ws:a", str(i).encode())
        assert [(await anext(items)).text for _ in range(100)] == [str(i) for i in range(100)]

        def break_and_mend():
            memory.reports.lost(RuntimeError("away"))
            memory.reports.message(b"ws:a", b"while it is away")
            memory.reports.ready()

        await in_thread(break_and_mend)
        assert [(await anext(items)).kind for _ in range(3)] == ["lost", "gap", "resumed"]
        assert await bus.publish("a", "x") == 1
        assert (await anext(items)).text == "x"


async def test_two_threads_that_report_at_once():
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        stream = bus.subscribe("a")
        await stream.ready

        def flap():
            for _ in range(200):
                memory.reports.lost(RuntimeError("away"))
                memory.reports.ready()

        threads = [threading.Thread(target=flap) for _ in range(2)]
        for thread in threads:
            thread.start()
        await until(lambda: not any(thread.is_alive() for thread in threads))
        await until(lambda: bus.connected and stream.state == "active")
        assert await bus.publish("a", "x") == 1


async def test_after_close_nothing_is_heard():
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S):
        bus = await fanwire.connect(backend=memory)
        await bus.close()
        for report in (
            lambda: memory.reports.message(b"ws:a", b"x"),
            lambda: memory.reports.lost(RuntimeError("late")),
            lambda: memory.reports.ready(),
        ):
            report()
            await in_thread(report)


async def test_a_thread_that_reports_after_the_loop_is_gone():
    memory = Memory()

    async def leave():
        await fanwire.connect(backend=memory)

    with pytest.warns(ResourceWarning):
        await in_thread(asyncio.run, leave())
        gc.collect()
    memory.reports.lost(RuntimeError("late"))
    memory.reports.ready()
    memory.reports.message(b"ws:a", b"x")


@pytest.mark.parametrize("returned", [None, "1", -1, 2**64, 1.5])
async def test_a_publish_that_returns_nonsense(returned, unhandled):
    class Odd(Memory):
        async def publish(self, channel, payload):
            return returned

    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=Odd()) as bus:
        for _ in range(2):
            with pytest.raises(fanwire.OutcomeUnknownError, match="publish\\(\\) returned .*, which is no number"):
                await bus.publish("a", "x")


@pytest.mark.parametrize("returned", [None, [], [0] * 50, 7])
async def test_publish_many_that_returns_nonsense(returned, unhandled):
    class Odd(Memory):
        async def publish(self, channel, payload):
            await self.gate.wait()
            return 0

        async def publish_many(self, publishes):
            self.done.append(publishes)
            return returned

    odd = Odd()
    odd.gate = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=odd) as bus:
        publishes = [bus.publish("a", str(i)) for i in range(4)]
        odd.gate.set()
        outcomes = await asyncio.gather(*publishes, return_exceptions=True)
        assert all(outcome == 0 or isinstance(outcome, fanwire.FanwireError) for outcome in outcomes)

        odd.gate.set()
        assert await bus.publish("a", "goes on") == 0


@pytest.mark.parametrize("returned", [None, [], [1, 2], ["x"], [-1], [2**64], 7])
async def test_a_count_of_nonsense(returned, unhandled):
    class Odd(Memory):
        async def numsub(self, channels):
            return returned

    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=Odd()) as bus:
        with pytest.raises((fanwire.RedisError, fanwire.ProtocolError)):
            await bus.numsub(["a"])


async def test_calls_that_raise_cancelled_error(unhandled):
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        memory.error = asyncio.CancelledError()
        with pytest.raises(fanwire.RedisError, match="CancelledError"):
            await bus.subscribe("a").ready
        memory.error = asyncio.CancelledError()
        with pytest.raises(fanwire.OutcomeUnknownError, match="CancelledError"):
            await bus.publish("a", "x")
        memory.error = asyncio.CancelledError()
        with pytest.raises(fanwire.RedisError, match="CancelledError"):
            await bus.numsub(["a"])
        async with bus.subscribe("b") as stream:
            assert await bus.publish("b", "x") == 1
            assert (await anext(stream)).text == "x"


async def test_an_error_of_no_status_of_the_engine(unhandled):
    memory = Memory()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=memory) as bus:
        for error in (fanwire.FanwireError("odd"), fanwire.DecodeError("odd")):
            memory.error = error
            with pytest.raises(fanwire.RedisError, match="odd"):
                await bus.publish("a", "x")
            memory.reports.lost(error)
            memory.reports.ready()
            await until(lambda: bus.connected)


async def test_calls_that_never_return_end_with_the_connection():
    class Stuck(Memory):
        is_stuck = True

        async def hang(self):
            try:
                if self.is_stuck:
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.done.append("cancelled")
                raise

        async def publish(self, channel, payload):
            await self.hang()
            return await super().publish(channel, payload)

        async def subscribe(self, name, is_pattern):
            await self.hang()
            await super().subscribe(name, is_pattern)

    stuck = Stuck()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=stuck, publish_timeout_ms=50) as bus:
        stream = bus.subscribe("a")
        with pytest.raises(fanwire.OutcomeUnknownError):
            await bus.publish("a", "x")
        stuck.is_stuck = False
        stuck.reports.lost(RuntimeError("away"))
        stuck.reports.ready()
        await stream.ready
        assert stuck.done.count("cancelled") == 2
        assert await bus.publish("a", "y") == 1


class Engine:
    """The engine's end of the seam."""

    def __init__(self):
        self._read, self._write = os.pipe()
        self.calls, self.settled_ones = [], {}

    def fileno(self):
        return self._read

    def call(self, *call):
        if not self.calls:
            os.write(self._write, b"!")
        self.calls.append(call)

    def take(self):
        os.read(self._read, 1)
        calls, self.calls = self.calls, []
        return calls, True

    def ready(self):
        pass

    def settled(self, id, status, text, receivers):
        assert id not in self.settled_ones
        self.settled_ones[id] = (status, receivers)


async def test_what_waits_for_a_publish_that_never_returns_is_limited():
    memory, engine = Memory(), Engine()
    memory.gate = asyncio.Event()
    options = make_options(None, {"publish_buffer_bytes": 20_000})
    driver = Driver(memory, engine, asyncio.get_running_loop(), options)
    async with asyncio.timeout(DEADLINE_S):
        engine.call("start")
        await until(lambda: memory.reports)
        for id in range(1, 101):
            engine.call("publish", id, b"a", b"x" * 999)
        await until(lambda: memory.done)
        # All came in one turn: 20 are left, and the first ones, whose time is over, are never published.
        assert engine.settled_ones == {id: (fanwire.TimeoutError.status, 0) for id in range(1, 81)}
        memory.gate.set()
        await until(lambda: len(engine.settled_ones) == 100)
        assert len(memory.done) == 20
        engine.call("close")
        await driver.closed(DEADLINE_S)
    assert memory.is_closed


async def test_a_subscription_that_flaps_while_it_is_being_made():
    class Slow(Memory):
        async def subscribe(self, name, is_pattern):
            await self.gate.wait()
            await super().subscribe(name, is_pattern)

    slow = Slow()
    slow.gate = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=slow, unsubscribe_linger_ms=0) as bus:
        for _ in range(1000):
            bus.subscribe("a").close()
            await asyncio.sleep(0)
        stream = bus.subscribe("a")
        slow.gate.set()
        await stream.ready
        assert await bus.publish("a", "x") == 1
        stream.close()
        await until(lambda: not slow.names)


async def test_a_start_that_goes_on_for_as_long_as_it_is_connected():
    class Loops(Memory):
        async def start(self, reports):
            self.reports = reports
            for _ in range(3):
                reports.ready()
                await asyncio.sleep(0.01)
                reports.lost(RuntimeError("again"))
            reports.ready()
            await asyncio.Event().wait()

    loops, told = Loops(), []
    async with asyncio.timeout(DEADLINE_S), fanwire.open(backend=loops, on_event=told.append) as bus:
        await until(lambda: kinds(told).count("connected") == 4)
        assert await bus.publish("a", "x") == 0
    assert loops.is_closed


async def test_a_close_that_never_returns():
    class Stuck(Memory):
        async def close(self):
            await asyncio.Event().wait()

    bus = await fanwire.connect(backend=Stuck())
    begun = time.monotonic()
    await asyncio.wait_for(bus.close(1), DEADLINE_S)
    assert time.monotonic() - begun < DEADLINE_S
