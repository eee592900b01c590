"""Many threads with one object of the library. Also run by a free-threaded Python, under the thread sanitizer."""

import asyncio
import gc
import threading

import fanwire
from conftest import until_blocking

THREADS = 6
ROUNDS = 60


def in_threads(work, count=THREADS):
    """Runs work(number) in threads that begin together; raises what one of them raised."""
    begin, errors = threading.Barrier(count), []

    def run(number):
        begin.wait()
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_one_client_for_all(url, channel):
    got = []
    with fanwire.Client(url) as client:
        client.subscribe(channel, lambda message: got.append((message.text, message.channel))).wait_ready()

        def publish(number):
            for turn in range(ROUNDS):
                assert client.publish(channel, f"{number}-{turn}") == 1
                client.publish_nowait(channel, "x")
                client.stats(), client.health()

        in_threads(publish)
        until_blocking(lambda: len(got) == 2 * THREADS * ROUNDS)
    texts = [text for text, _ in got if text != "x"]
    assert sorted(texts) == sorted(f"{number}-{turn}" for number in range(THREADS) for turn in range(ROUNDS))
    for number in range(THREADS):
        mine = [text for text in texts if text.startswith(f"{number}-")]
        assert mine == [f"{number}-{turn}" for turn in range(ROUNDS)]


def test_subscriptions_come_and_go(url, channel):
    with fanwire.Client(url) as client:

        def subscribe(number):
            for turn in range(10):
                got = []
                subscription = client.subscribe(f"{channel}-{number}", got.append)
                subscription.wait_ready()
                client.publish(f"{channel}-{number}", str(turn))
                until_blocking(lambda: got)
                subscription.unsubscribe()

        in_threads(subscribe)


def test_one_stream_that_all_take_from(url, channel):
    total = THREADS * ROUNDS
    got = []
    with fanwire.Client(url) as client:
        stream = client.subscribe(channel)
        stream.wait_ready()

        def take(number):
            for turn in range(ROUNDS):
                client.publish_nowait(channel, f"{number}-{turn}")
            for _ in range(ROUNDS):
                got.append(stream.get(timeout=20).text)

        in_threads(take)
    assert len(got) == len(set(got)) == total


def test_one_message_that_all_look_at(memory_url, channel):
    messages = []
    with fanwire.Client(memory_url) as client:
        client.psubscribe(f"{channel}*", messages.append).wait_ready()
        for turn in range(ROUNDS):
            client.publish(channel, b"%d" % turn)
        until_blocking(lambda: len(messages) == ROUNDS)

    def look(number):
        for turn, message in enumerate(messages):
            assert (message.data, message.text, message.json()) == (b"%d" % turn, str(turn), turn)
            assert (message.channel, message.pattern) == (channel, f"{channel}*")
            assert channel in repr(message)

    in_threads(look)


def test_a_loop_in_each_thread(url, channel):
    """Each with a bus of its own; the outcomes are looked at by another thread meanwhile."""
    outcomes = []

    async def serve(number):
        async with fanwire.connect(url) as bus:
            got = []
            await bus.subscribe(f"{channel}-{number}", got.append).ready
            for turn in range(ROUNDS):
                outcome = bus.publish(f"{channel}-{number}", str(turn))
                outcomes.append(outcome)
                if turn % 3 == 0:
                    outcome.cancel()
                elif turn % 3 == 1:
                    assert await outcome == 1
                else:
                    outcome.add_done_callback(lambda settled: settled.result())
            await bus.publish(f"{channel}-{number}", "last")
            while len(got) < ROUNDS + 1:
                await asyncio.sleep(0.001)

    ended = threading.Event()

    def look():
        while not ended.is_set():
            for outcome in list(outcomes):
                outcome.done(), outcome.cancelled(), repr(outcome)
            gc.collect()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        in_threads(lambda number: asyncio.run(serve(number)), 4)
    finally:
        ended.set()
        watcher.join()


def test_light_buses_of_one_engine(url, channel):
    with fanwire.Engine(url, wait=True) as engine:
        total = []

        async def serve():
            bus = engine.bus()
            await bus.subscribe(channel, total.append).ready
            for turn in range(ROUNDS):
                await bus.publish(channel, str(turn))
            await bus.close()

        in_threads(lambda number: asyncio.run(serve()), 4)
    assert len(total) >= 4 * ROUNDS  # each bus its own at least


def test_a_handler_that_waits_for_another_thread_in_a_loop(memory_url, channel):
    """Without giving way: what it waits for must not need what it holds."""
    seen = []

    async def serve():
        async with fanwire.connect(memory_url) as bus:
            published = threading.Event()

            def handler(message):
                for _ in range(2_000_000_000):
                    if published.is_set():
                        break
                seen.append(message.text)

            await bus.subscribe(channel, handler).ready
            loop = asyncio.get_running_loop()

            def other():
                assert bus.stats()["published"] >= 0
                published.set()

            waiting = loop.run_in_executor(None, other)
            await bus.publish(channel, "x")
            await waiting
            while not seen:
                await asyncio.sleep(0.001)

    asyncio.run(serve())
    assert seen == ["x"]
