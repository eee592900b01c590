"""gevent and eventlet: what waits lets other greenlets run, and what cannot work is refused.

Whatever waits here is waited for by the very greenlet that the wait could keep from running.
"""

import textwrap

import fanwire
import pytest
from child import run

GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
spawn = gevent.spawn
sleep = gevent.sleep
"""

EVENTLET = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
import eventlet
eventlet.monkey_patch()
spawn = eventlet.spawn
sleep = eventlet.sleep
"""

green = pytest.mark.parametrize("patch", [GEVENT, EVENTLET], ids=["gevent", "eventlet"])

def run_green(patch, code, url):
    """Patched before fanwire is imported, as is usual, and afterwards."""
    code = textwrap.dedent(code)
    run(code, url, options=(), first=patch)
    run(patch + code, url, options=())


@green
def test_handlers_and_streams(url, patch):
    run_green(
        patch,
        """
        got, events = [], []
        with fanwire.Client(url, on_event=lambda event: events.append(event.kind)) as client:
            client.subscribe("a", lambda message: got.append(message.text)).wait_ready()
            stream = client.subscribe("a")
            stream.wait_ready(timeout=10)
            assert client.publish("a", "1") >= 1
            while not got:
                sleep(0.001)
            assert stream.get(timeout=10).text == "1"
            spawn(client.publish, "a", "2")
            assert stream.get(timeout=10).text == "2"  # ends only if the other greenlet runs meanwhile
            spawn(client.publish, "a", "3")
            assert next(iter(stream)).text == "3"
            spawn(client.publish, "a", "4")
            assert [message.text for message in next(stream.batches())] == ["4"]
            try:
                stream.get(timeout=0.02)
                raise AssertionError
            except fanwire.TimeoutError:
                pass
            spawn(stream.unsubscribe)
            assert list(stream) == []
            while len(got) < 4:
                sleep(0.001)
            assert client.health().ok and events == ["connected"], (client.health(), events)
        assert got == ["1", "2", "3", "4"]
        """,
        url,
    )


@green
def test_connecting_publishing_and_closing(own_redis, patch):
    """Redis stands still until another greenlet has it go on."""
    pid = own_redis._process.pid
    run_green(
        patch,
        f"""
        def pause():
            os.kill({pid}, signal.SIGSTOP)

            def go_on():
                sleep(0.05)
                os.kill({pid}, signal.SIGCONT)

            spawn(go_on)

        pause()
        client = fanwire.Client(url, connect_timeout_ms=60_000)
        pause()
        assert client.publish("a", "x", timeout=60) == 0
        pause()
        subscription = client.subscribe("a")
        subscription.wait_ready(timeout=60)
        pause()
        client.publish_nowait("a", "x")
        client.close(timeout=60)
        assert client.stats()["publish_ok"] == 2
        print("done")
        """,
        own_redis.url,
    )


@green
def test_a_busy_channel_lets_others_run(memory_url, patch):
    run_green(
        patch,
        """
        turns = []

        def others():
            while True:
                turns.append(1)
                sleep(0)

        with fanwire.Client(url) as client:
            handled = []
            client.subscribe("a", handled.append).wait_ready()
            stream = client.subscribe("a")
            stream.wait_ready()
            for _ in range(5000):
                client.publish_nowait("a", "x")
            spawn(others)
            for _ in range(5000):
                stream.get()
            assert len(turns) >= 20, len(turns)
            while len(handled) < 5000:
                sleep(0)
        """,
        memory_url,
    )


@green
def test_many_greenlets_publish(url, patch):
    run_green(
        patch,
        """
        done = []

        def publish(name):
            for number in range(20):
                assert client.publish("a", f"{name} {number}") >= 1
            done.append(name)

        with fanwire.Client(url) as client:
            got = []
            client.subscribe("a", lambda message: got.append(message.text)).wait_ready()
            for name in range(20):
                spawn(publish, name)
            while len(done) < 20 or len(got) < 400:
                sleep(0.001)
        """,
        url,
    )


@pytest.mark.parametrize(
    "patch",
    [
        GEVENT.replace("patch_all()", "patch_all(select=False)"),
        EVENTLET.replace("monkey_patch()", "monkey_patch(select=False)"),
    ],
    ids=["gevent", "eventlet"],
)
def test_threads_that_are_greenlets_without_their_select_are_refused(memory_url, patch):
    run_green(
        patch,
        """
        try:
            fanwire.Client(url)
        except fanwire.InvalidArgumentError as error:
            assert "select" in str(error) and "patch" in str(error)
        else:
            raise AssertionError
        """,
        memory_url,
    )


@pytest.mark.parametrize(
    "patch",
    [
        GEVENT.replace("patch_all()", "patch_all(thread=False)"),
        EVENTLET.replace("monkey_patch()", "monkey_patch(thread=False)"),
    ],
    ids=["gevent", "eventlet"],
)
def test_with_threads_left_as_they_are(memory_url, patch):
    run_green(
        patch,
        """
        got = []
        with fanwire.Client(url) as client:
            client.subscribe("a", lambda message: got.append(message.text)).wait_ready()
            client.publish("a", "x")
            while not got:
                sleep(0.001)
        """,
        memory_url,
    )


def test_a_dead_dispatcher_is_never_ok(memory_url, monkeypatch, caplog):
    from fanwire import _dispatcher

    def broken(*_):
        raise AttributeError("module 'select' has no attribute 'poll'")

    monkeypatch.setattr(_dispatcher, "wait_readable", broken)
    with fanwire.Client(memory_url) as client:
        client.subscribe("a", print)
        client._dispatcher._thread.join()
        health = client.health()
        assert not health.ok and health.verdict is fanwire.Verdict.DEGRADED
        assert isinstance(health.error, fanwire.InternalError) and "thread" in health.text
    assert "nothing is delivered" in caplog.text and "no attribute 'poll'" in caplog.text
