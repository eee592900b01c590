"""The blocking interface."""

import logging
import math
import signal
import threading
import time

import fanwire
import pytest
from conftest import DEADLINE_S, until_blocking


def test_publish_and_iterate(url, channel):
    with fanwire.Client(url) as client:
        messages = client.subscribe(channel)
        messages.wait_ready()
        assert messages.state == "active"
        assert [client.publish(channel, number) for number in range(5)] == [1] * 5
        got = []
        for message in messages:
            got.append(message.json())
            if len(got) == 5:
                break
        assert got == [0, 1, 2, 3, 4]
        client.publish_nowait(channel, b"\0")
        message = messages.get(timeout=DEADLINE_S)
        assert (message.data, message.channel, message.pattern) == (b"\0", channel, None)


def test_handlers_run_in_one_other_thread(url, channel):
    threads, got = set(), []

    def handler(message):
        threads.add(threading.current_thread().name)
        got.append((message.pattern, message.text))

    with fanwire.Client(url) as client:
        client.subscribe(channel, handler).wait_ready()
        client.psubscribe(f"{channel}*", handler).wait_ready()
        client.publish(channel, "x")
        until_blocking(lambda: len(got) == 2)
    assert sorted(got, key=str) == sorted([(None, "x"), (f"{channel}*", "x")], key=str)
    assert threads == {"fanwire-dispatcher"}
    assert not any(thread.name == "fanwire-dispatcher" for thread in threading.enumerate())


def test_close_delivers_what_was_received(url, channel):
    got = []

    def handler(message):
        time.sleep(0.001)
        got.append(message.text)

    with fanwire.Client(url) as client:
        client.subscribe(channel, handler).wait_ready()
        for number in range(100):
            client.publish(channel, str(number))
        until_blocking(lambda: client.stats()["delivered"] == 100)
    assert got == [str(number) for number in range(100)]


def test_get_times_out(url, channel):
    with fanwire.Client(url) as client:
        messages = client.subscribe(channel)
        start = time.monotonic()
        with pytest.raises(fanwire.TimeoutError):
            messages.get(timeout=0.12)
        assert 0.12 <= time.monotonic() - start < 5
        with pytest.raises(TimeoutError):
            messages.get(timeout=0)


def test_get_after_the_end(url, channel):
    with fanwire.Client(url) as client:
        one, two = client.subscribe(channel), client.subscribe(channel)
        one.wait_ready()
        two.wait_ready()
        one.unsubscribe()
        with pytest.raises(fanwire.UnsubscribedError):
            one.get(timeout=1)
        with pytest.raises(fanwire.UnsubscribedError):
            one.unsubscribe()
        with pytest.raises(fanwire.UnsubscribedError):
            one.wait_ready()
        assert list(one) == []
    with pytest.raises(fanwire.ClosedError):
        two.get(timeout=1)
    with pytest.raises(fanwire.ClosedError):
        two.wait_ready()
    assert list(two) == []


@pytest.mark.parametrize("end", ["unsubscribe", "close"])
def test_a_waiting_iteration_ends(url, channel, end):
    client = fanwire.Client(url)
    messages = client.subscribe(channel)
    messages.wait_ready()
    got = []
    thread = threading.Thread(target=lambda: got.extend(messages))
    thread.start()
    client.publish(channel, "x")
    until_blocking(lambda: got)
    messages.unsubscribe() if end == "unsubscribe" else client.close()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    client.close()


def test_events(memory_url):
    told = []
    with fanwire.Client(memory_url, inbox_count=10) as client:
        messages = client.subscribe("a", on_event=told.append)
        messages.wait_ready()
        for number in range(300):
            client.publish("a", str(number))
        items = []
        for item in messages.events():
            items.append(item)
            if isinstance(item, fanwire.Message) and item.text == "299":
                break
    events = [item for item in items if isinstance(item, fanwire.Event)]
    assert events[0].kind == "active"
    assert sum(event.count for event in events if event.kind == "gap") == 300 - (len(items) - len(events))
    assert told == events


def test_handlers_that_raise_are_logged_and_delivery_goes_on(url, channel, caplog):
    got = []

    def bad(message):
        raise KeyError("oh no")

    def worse(message):
        raise SystemExit

    with caplog.at_level(logging.ERROR, "fanwire"), fanwire.Client(url) as client:
        for handler in bad, worse, lambda message: got.append(message.text):
            client.subscribe(channel, handler).wait_ready()
        client.publish(channel, "1")
        client.publish(channel, "2")
        until_blocking(lambda: got == ["1", "2"] and len(caplog.records) == 4)
    assert all(channel in record.getMessage() for record in caplog.records)
    assert "oh no" in caplog.text


def test_a_handler_may_use_and_close_the_client(url, channel):
    client = fanwire.Client(url)
    outcomes = []

    def handler(message):
        outcomes.append(client.publish("elsewhere", "from a handler"))
        client.close()

    client.subscribe(channel, handler).wait_ready()
    client.publish_nowait(channel, "x")
    until_blocking(lambda: repr(client).endswith("closed>") and outcomes)
    assert outcomes == [0]
    until_blocking(lambda: not any(thread.name == "fanwire-dispatcher" for thread in threading.enumerate()))


def test_close_does_not_wait_for_ever_for_a_handler(memory_url):
    gate, started = threading.Event(), threading.Event()

    def handler(message):
        started.set()
        gate.wait(DEADLINE_S)

    client = fanwire.Client(memory_url)
    client.subscribe("a", handler).wait_ready()
    client.publish("a", "x")
    assert started.wait(DEADLINE_S)
    with pytest.raises(fanwire.TimeoutError, match="handler"):
        client.close(timeout=0.05)
    gate.set()
    client.close()


def test_async_handlers_are_refused(memory_url):
    async def handler(message):
        pass

    with fanwire.Client(memory_url) as client:
        with pytest.raises(fanwire.InvalidArgumentError, match="async"):
            client.subscribe("a", handler)


def test_threads_publish_together(url, channel):
    with fanwire.Client(url) as client:
        messages = client.subscribe(channel)
        messages.wait_ready()
        outcomes = []
        threads = [
            threading.Thread(target=lambda: outcomes.extend(client.publish(channel, "x") for _ in range(50)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        assert outcomes == [1] * 400
        assert all(messages.get(DEADLINE_S).text == "x" for _ in range(400))


def test_a_publish_that_timed_out_does_not_answer_the_next(own_redis):
    with fanwire.Client(own_redis.url) as client:
        client.subscribe("b", print).wait_ready()
        own_redis.kill()
        until_blocking(lambda: not client.connected)
        with pytest.raises(fanwire.TimeoutError) as caught:
            client.publish("a", "x", timeout=0.05)
        assert caught.value.may_have_happened is False
        own_redis.start()
        until_blocking(lambda: client.stats()["subscriptions_confirmed"] == 1)
        assert client.publish("b", "x", timeout=DEADLINE_S) == 1
        assert client.stats()["publish_ok"] == 1  # what has timed out is never sent


def test_engine_events(own_redis):
    events = []
    with fanwire.Client(own_redis.url, on_event=events.append) as client:
        own_redis.kill()
        until_blocking(lambda: not client.connected and any(event.kind == "reconnecting" for event in events))
        with pytest.raises(fanwire.TimeoutError):
            client.close(0) if client.publish_nowait("a", "x") is None else None
    assert [event.kind for event in events][:2] == ["connected", "disconnected"]
    assert isinstance(events[1].error, fanwire.FanwireError)


def test_events_are_over_at_the_end_which_on_event_hears_of(url, channel):
    told = []
    with fanwire.Client(url) as client:
        stream = client.subscribe(channel, on_event=lambda event: told.append(event.kind))
        stream.wait_ready()
    assert [item.kind for item in stream.events()] == ["active"]
    assert told == ["active", "ended"]


def test_a_consumer_that_comes_upon_the_end_leaves_no_other_waiting(memory_url):
    client = fanwire.Client(memory_url)
    stream = client.subscribe("a")
    stream.wait_ready()
    at_the_end, gate = threading.Event(), threading.Event()
    deliver_event = stream._deliver_event

    def slow_at_the_end(event):
        if event.kind == "ended":
            at_the_end.set()
            gate.wait(DEADLINE_S)
        deliver_event(event)

    stream._deliver_event = slow_at_the_end
    thread = threading.Thread(target=lambda: list(stream))
    thread.start()
    client.close()
    try:
        assert at_the_end.wait(DEADLINE_S)
        with pytest.raises(fanwire.ClosedError):
            stream.get(timeout=1)
    finally:
        gate.set()
        thread.join(DEADLINE_S)


def test_a_publish_of_a_signal_handler_leaves_the_interrupted_one_its_outcome(own_redis):
    """Both wait while Redis stands still."""
    got = []
    with fanwire.Client(own_redis.url) as client:

        def publish(*_):
            threading.Timer(0.3, own_redis._process.send_signal, [signal.SIGCONT]).start()
            got.append(client.publish("a", "inner", timeout=DEADLINE_S))

        previous = signal.signal(signal.SIGUSR1, publish)
        main = threading.main_thread().ident
        try:
            client.publish("a", "first")
            own_redis._process.send_signal(signal.SIGSTOP)
            threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGUSR1]).start()
            assert client.publish("a", "outer", timeout=DEADLINE_S) == 0
        finally:
            signal.signal(signal.SIGUSR1, previous)
            own_redis._process.send_signal(signal.SIGCONT)
    assert got == [0]


def test_subscribing_through_a_closed_client_starts_no_thread(memory_url):
    client = fanwire.Client(memory_url)
    client.close()
    before = threading.active_count()
    with pytest.raises(fanwire.ClosedError, match="closed"):
        client.subscribe("a", print)
    assert threading.active_count() == before


@pytest.mark.parametrize("timeout", [1e10, 10**400, math.inf], ids=["1e10", "10**400", "inf"])
def test_very_long_timeouts(memory_url, timeout):
    client = fanwire.Client(memory_url)
    messages = client.subscribe("a")
    client.subscribe("a", lambda message: None).wait_ready(timeout)
    messages.wait_ready(timeout)
    assert client.publish("a", "x", timeout) == 1
    assert messages.get(timeout).text == "x"
    client.close(timeout)
