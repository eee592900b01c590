"""Everything that can be wrong: each has its own exception with a readable text, in both interfaces, and no hang."""

import contextlib
import math
import os
import socket
import threading

import fanwire
import pytest
from conftest import within
from redis_server import free_port


async def _open_async(url, settings):
    async with fanwire.connect(url, **settings):
        pass


async def _open_blocking(url, settings):
    with fanwire.Client(url, **settings):
        pass


open_with = pytest.mark.parametrize("open_bus", [_open_async, _open_blocking], ids=["connect", "Client"])


@open_with
@pytest.mark.parametrize(
    "url, settings, error, mentions",
    [
        ("nonsense", {}, fanwire.InvalidUrlError, "URL"),
        ("", {}, fanwire.InvalidUrlError, "URL"),
        ("http://localhost", {}, fanwire.InvalidUrlError, "http"),
        ("redis://host:0", {}, fanwire.InvalidUrlError, "port"),
        ("redis://host:70000", {}, fanwire.InvalidUrlError, "65535"),
        ("redis://host:port", {}, fanwire.InvalidUrlError, "port"),
        ("redis://h\0st", {}, fanwire.InvalidUrlError, "NUL"),
        ("redis://h\udcffst", {}, fanwire.InvalidUrlError, "text"),
        (6379, {}, fanwire.InvalidUrlError, "int"),
        (None, {"url": "nonsense"}, fanwire.InvalidUrlError, "URL"),
        ("redis://host?no_such=1", {}, fanwire.FanwireError, "no_such"),
        (None, {"no_such": 1}, fanwire.UnknownOptionError, "no_such"),
        (None, {"port": 0}, fanwire.InvalidOptionError, "port"),
        (None, {"port": 70000}, fanwire.InvalidOptionError, "port"),
        (None, {"port": "many"}, fanwire.InvalidOptionError, "port"),
        (None, {"port": 1.5}, fanwire.InvalidOptionError, "port"),
        (None, {"port": True}, fanwire.InvalidOptionError, "port"),
        (None, {"port": [1]}, fanwire.InvalidOptionError, "port"),
        (None, {"host": b"h"}, fanwire.InvalidOptionError, "host"),
        (None, {"host": "a\0b"}, fanwire.InvalidOptionError, "host"),
        (None, {"namespace": "\udcff"}, fanwire.InvalidOptionError, "namespace"),
        (None, {"offline": "maybe"}, fanwire.InvalidOptionError, "offline"),
        (None, {"connect_timeout_ms": -1}, fanwire.InvalidOptionError, "connect_timeout_ms"),
        (None, {"on_event": 7}, fanwire.InvalidArgumentError, "on_event"),
    ],
)
async def test_settings(open_bus, url, settings, error, mentions):
    with pytest.raises(error) as caught:
        await within(open_bus(url, settings))
    assert mentions in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert not caught.value.retryable


@open_with
async def test_no_server(open_bus):
    port = free_port()
    with pytest.raises(fanwire.ConnectFailedError) as caught:
        await within(open_bus(f"redis://127.0.0.1:{port}", {}))
    assert str(port) in str(caught.value) and "refused" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.retryable


@open_with
async def test_no_such_host(open_bus):
    with pytest.raises(fanwire.ResolveFailedError, match="host.invalid"):
        await within(open_bus("redis://host.invalid", {"connect_timeout_ms": 10000}))


@open_with
async def test_no_such_unix_socket(open_bus, tmp_path):
    with pytest.raises(fanwire.ConnectFailedError, match="redis.sock"):
        await within(open_bus(None, {"unix_path": tmp_path / "redis.sock"}))


@contextlib.contextmanager
def server_that(answers):
    """A TCP server that says `answers` to whatever comes, then waits for the other side to close."""

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(answers)
                while connection.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@open_with
@pytest.mark.parametrize(
    "answers", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\0\1\2\3", b"*1000000000\r\n"]
)
async def test_a_server_that_is_not_redis(open_bus, answers):
    with server_that(answers) as port, pytest.raises((fanwire.ProtocolError, fanwire.ConnectFailedError)) as caught:
        await within(open_bus(f"redis://127.0.0.1:{port}", {"connect_timeout_ms": 500}))
    assert str(caught.value)
    if answers.startswith(b"HTTP"):
        assert isinstance(caught.value, fanwire.ProtocolError)


@open_with
async def test_a_server_that_is_silent(open_bus):
    with server_that(b"") as port, pytest.raises(fanwire.FanwireError) as caught:
        await within(open_bus(f"redis://127.0.0.1:{port}", {"connect_timeout_ms": 100}))
    assert isinstance(caught.value, (fanwire.ConnectTimeoutError, fanwire.ConnectFailedError))


@contextlib.asynccontextmanager
async def _a_bus(url, **settings):
    async with fanwire.connect(url, **settings) as bus:
        yield bus


@contextlib.asynccontextmanager
async def _a_client(url, **settings):
    with fanwire.Client(url, **settings) as client:
        yield client


each_interface = pytest.mark.parametrize("make", [_a_bus, _a_client], ids=["Bus", "Client"])


async def _publish(bus, channel, value):
    outcome = bus.publish(channel, value)
    return outcome if isinstance(bus, fanwire.Client) else await within(outcome)


@each_interface
@pytest.mark.parametrize(
    "channel, error",
    [
        ("", fanwire.InvalidChannelError),
        (b"", fanwire.InvalidChannelError),
        ("x" * 1025, fanwire.InvalidChannelError),
        ("\ud800", fanwire.InvalidChannelError),
        (None, fanwire.InvalidArgumentError),
        (7, fanwire.InvalidArgumentError),
    ],
)
async def test_channels(make, url, channel, error):
    async with make(url) as bus:
        before = bus.stats()
        for call in (
            lambda: bus.subscribe(channel),
            lambda: bus.subscribe(channel, print),
            lambda: bus.psubscribe(channel),
            lambda: bus.publish_nowait(channel, "x"),
        ):
            with pytest.raises(error) as caught:
                call()
            assert str(caught.value)
        with pytest.raises(error):
            await _publish(bus, channel, "x")
        assert bus.stats()["subscriptions"] == bus.stats()["published"] == before["published"] == 0


@each_interface
async def test_strict_channels(make, memory_url):
    async with make(memory_url, channel_rules="strict") as bus:
        bus.publish_nowait("fine:a.b-c_d", "x")
        with pytest.raises(fanwire.InvalidChannelError, match="with space"):
            bus.publish_nowait("with space", "x")


@each_interface
async def test_messages_over_the_limit(make, url, channel):
    async with make(url, max_message_bytes=10) as bus:
        assert await _publish(bus, channel, "x" * 10) == 0
        with pytest.raises(fanwire.MessageTooLargeError, match="11"):
            await _publish(bus, channel, "x" * 11)
        with pytest.raises(fanwire.MessageTooLargeError):
            bus.publish_nowait(channel, b"x" * 11)


@each_interface
@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, {"a": b"bytes"}, "\ud800", ["\ud800"]])
async def test_values_that_cannot_be_sent(make, memory_url, value):
    async with make(memory_url) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="the value"):
            await _publish(bus, "a", value)


@each_interface
async def test_a_value_that_contains_itself(make, memory_url):
    value = []
    value.append(value)
    async with make(memory_url) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="the value"):
            await _publish(bus, "a", value)


@each_interface
async def test_too_many_subscriptions(make, memory_url):
    async with make(memory_url, max_subscriptions=1) as bus:
        kept = bus.subscribe("a")
        with pytest.raises(fanwire.LimitReachedError, match="max_subscriptions"):
            bus.subscribe("b")
        kept.unsubscribe()


@each_interface
async def test_handlers_that_are_none(make, memory_url):
    async with make(memory_url) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="handler"):
            bus.subscribe("a", 7)
        with pytest.raises(fanwire.InvalidArgumentError, match="on_event"):
            bus.subscribe("a", on_event=7)


@each_interface
async def test_everything_after_close(make, url, channel):
    async with make(url) as bus:
        subscriptions = [bus.subscribe(channel), bus.subscribe(channel, print)]
    for call in (
        lambda: bus.subscribe(channel),
        lambda: bus.psubscribe(channel, print),
        lambda: bus.publish_nowait(channel, "x"),
    ):
        with pytest.raises(fanwire.ClosedError, match="closed"):
            call()
    with pytest.raises(fanwire.ClosedError):
        await _publish(bus, channel, "x")
    for subscription in subscriptions:
        with pytest.raises(fanwire.FanwireError) as caught:
            subscription.unsubscribe()
        assert type(caught.value) in (fanwire.ClosedError, fanwire.UnsubscribedError)
        assert subscription.state == "ended"
    assert not bus.connected
    assert bus.stats()["subscriptions"] == 0
    again = bus.close()
    if again is not None:
        await within(again)


@each_interface
@pytest.mark.parametrize("timeout", [-1, math.nan, "1", True])
async def test_timeouts(make, memory_url, timeout):
    async with make(memory_url) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="timeout"):
            closing = bus.close(timeout)
            await closing
        assert bus.connected


def test_the_environment_is_checked_too(monkeypatch):
    monkeypatch.setitem(os.environ, "FANWIRE_PORT", "none")
    with pytest.raises(fanwire.InvalidOptionError, match="FANWIRE_PORT"):
        fanwire.Client()
