"""What only a real Redis shows: the bytes on the wire, outages, logins, refusals."""

import asyncio

import fanwire
import pytest
from conftest import until, until_blocking, within
from redis_server import RawConnection, RedisServer


async def test_redis_cli_reaches_subscribers(redis):
    async with fanwire.connect(redis.url) as bus:
        messages = bus.subscribe("chat")
        await within(messages.ready)
        assert redis.cli("PUBLISH", "ws:chat", "hello") == "1"
        message = await within(anext(messages))
        assert (message.channel, message.data) == ("chat", b"hello")


@pytest.mark.parametrize("payload", [b"", b"\0", b"a\0b\r\n\xff", bytes(range(256)), b"x" * 1_000_000])
async def test_raw_subscriber_sees_the_exact_bytes(redis, raw, payload):
    raw.command("SUBSCRIBE", "ws:chat")
    async with fanwire.connect(redis.url) as bus:
        assert await bus.publish("chat", payload) == 1
        assert await asyncio.to_thread(raw.reply) == [b"message", b"ws:chat", payload]


async def test_binary_from_elsewhere_arrives_exactly(redis, raw):
    async with fanwire.connect(redis.url) as bus:
        exact, pattern = bus.subscribe(b"\0\xff"), bus.psubscribe(b"\0*")
        await within(exact.ready)
        await within(pattern.ready)
        raw.command("PUBLISH", b"ws:\0\xff", b"\0\r\n\xfe")
        for stream in exact, pattern:
            message = await within(anext(stream))
            assert message.channel_bytes == b"\0\xff"
            assert message.data == b"\0\r\n\xfe"
        assert message.pattern_bytes == b"\0*"


async def test_namespace(redis, raw):
    raw.command("PSUBSCRIBE", "*")
    async with fanwire.connect(redis.url, namespace="game") as bus:
        await bus.publish("a", "1")
        assert (await asyncio.to_thread(raw.reply))[2:] == [b"game:a", b"1"]
    async with fanwire.connect(redis.url + "?namespace=") as bus:
        await bus.publish("a", "2")
        assert (await asyncio.to_thread(raw.reply))[2:] == [b"a", b"2"]


async def test_unix_socket_and_client_name(redis):
    async with fanwire.connect(f"unix://{redis.unix_path}", client_name="python-test") as bus:
        assert await bus.publish("a", "x") == 0
        assert redis.cli("CLIENT", "LIST").count("name=python-test") == 2


async def test_everything_receives_again_after_a_restart(own_redis):
    bus_events, handled, awaited, stream_events = [], [], [], []

    async def handler(message):
        awaited.append(message.text)

    async with fanwire.connect(own_redis.url, on_event=bus_events.append, max_reconnect_delay_ms=200) as bus:
        plain = bus.subscribe("chat", lambda message: handled.append(message.text), on_event=stream_events.append)
        awaiting = bus.psubscribe("ch*", handler)
        stream = bus.subscribe("chat")
        for subscription in plain, awaiting, stream:
            await within(subscription.ready)
        await bus.publish("chat", "before")
        await until(lambda: handled == awaited == ["before"])

        own_redis.kill()
        await until(lambda: not bus.connected and plain.state == "lost")
        queued = asyncio.ensure_future(bus.publish("elsewhere", "sent when it is back"))
        await asyncio.to_thread(own_redis.start)
        assert await within(queued) == 0
        await until(lambda: {plain.state, awaiting.state, stream.state} == {"active"})

        assert await asyncio.to_thread(own_redis.cli, "PUBLISH", "ws:chat", "after") == "2"
        await until(lambda: handled == awaited == ["before", "after"])
        items = [await within(anext(events)) for events in [stream.events()] for _ in range(6)]
    assert [item.text if isinstance(item, fanwire.Message) else item.kind for item in items] == [
        "active",
        "before",
        "lost",
        "gap",
        "resumed",
        "after",
    ]
    assert isinstance(items[2].error, fanwire.FanwireError)
    assert (items[3].reason, items[3].count) == ("reconnect", None)
    assert [event.kind for event in stream_events] == ["active", "lost", "gap", "resumed", "ended"]
    kinds = [event.kind for event in bus_events]
    assert kinds[0] == "connected" and kinds[-1] == "connected"
    assert "disconnected" in kinds and "reconnecting" in kinds
    reconnecting = next(event for event in bus_events if event.kind == "reconnecting")
    assert reconnecting.count == 1 and reconnecting.delay > 0
    assert next(event for event in bus_events if event.kind == "disconnected").will_reconnect


def test_a_client_receives_again_after_a_restart(own_redis):
    handled, events = [], []
    with fanwire.Client(own_redis.url, on_event=events.append, max_reconnect_delay_ms=200) as client:
        plain = client.subscribe("chat", lambda message: handled.append(message.text))
        stream = client.psubscribe("ch*")
        plain.wait_ready()
        stream.wait_ready()
        client.publish("chat", "before")
        until_blocking(lambda: handled == ["before"] and client.stats()["delivered"] == 2)
        own_redis.kill()
        until_blocking(lambda: plain.state == stream.state == "lost")
        own_redis.start()
        until_blocking(lambda: plain.state == stream.state == "active")
        own_redis.cli("PUBLISH", "ws:chat", "after")
        assert [stream.get(10).text, stream.get(10).text] == ["before", "after"]
        until_blocking(lambda: handled == ["before", "after"])
        until_blocking(lambda: [event.kind for event in events].count("connected") == 2)


async def test_publishes_fail_at_once_when_asked_to(own_redis):
    async with fanwire.connect(own_redis.url, offline="fail") as bus:
        own_redis.kill()
        await until(lambda: not bus.connected)
        with pytest.raises(fanwire.NotConnectedError) as caught:
            await within(bus.publish("a", "x"))
        assert isinstance(caught.value, ConnectionError)
        assert caught.value.retryable
        with pytest.raises(fanwire.NotConnectedError):
            bus.publish_nowait("a", "x")


async def test_a_publish_that_cannot_be_sent_times_out(own_redis):
    async with fanwire.connect(own_redis.url, publish_timeout_ms=100) as bus:
        own_redis.kill()
        await until(lambda: not bus.connected)
        with pytest.raises(fanwire.TimeoutError) as caught:
            await within(bus.publish("a", "x"))
        assert isinstance(caught.value, TimeoutError)


async def test_close_gives_up_at_its_deadline(own_redis):
    bus = await fanwire.connect(own_redis.url, publish_timeout_ms=60000)
    own_redis.kill()
    await until(lambda: not bus.connected)
    publish = asyncio.ensure_future(bus.publish("a", "x"))
    await asyncio.sleep(0)
    with pytest.raises(fanwire.TimeoutError):
        await within(bus.close(timeout=0.05))
    with pytest.raises(fanwire.FanwireError):
        await within(publish)
    await within(bus.close())


async def test_the_queue_of_unsent_publishes_is_bounded(own_redis):
    async with fanwire.connect(own_redis.url, offline_count=3) as bus:
        own_redis.kill()
        await until(lambda: not bus.connected)
        for _ in range(3):
            bus.publish_nowait("a", "x")
        with pytest.raises(fanwire.QueueFullError):
            bus.publish_nowait("a", "x")
        with pytest.raises(fanwire.TimeoutError):  # there is nothing to send them to
            await within(bus.close(0))


@pytest.fixture
def guarded_redis():
    """A Redis with a password, and a user who may use but one channel."""
    server = RedisServer("--requirepass", "sesame")
    with RawConnection(server.port) as raw:
        assert raw.command("AUTH", "sesame") == b"OK"
        rules = ["on", ">pw", "+@all", "resetchannels", "&ws:open*"]
        assert raw.command("ACL", "SETUSER", "alice", *rules) == b"OK"
        server.admin = raw
        yield server
    server.stop()


async def test_login(guarded_redis):
    port = guarded_redis.port
    async with fanwire.connect(f"redis://:sesame@127.0.0.1:{port}") as bus:
        assert await bus.publish("a", "x") == 0
    async with fanwire.connect(port=port, username="alice", password="pw") as bus:
        assert await bus.publish("open", "x") == 0


@pytest.mark.parametrize("login", [":wrong", "alice:wrong", "nobody:pw"])
async def test_wrong_password(guarded_redis, login):
    with pytest.raises(fanwire.AuthFailedError) as caught:
        await within(fanwire.connect(f"redis://{login}@127.0.0.1:{guarded_redis.port}"))
    assert "password" in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert isinstance(caught.value, PermissionError)


async def test_no_password(guarded_redis):
    with pytest.raises(fanwire.AuthFailedError):
        await within(fanwire.connect(guarded_redis.url))


async def test_no_permission(guarded_redis):
    events = []
    async with fanwire.connect(f"redis://alice:pw@127.0.0.1:{guarded_redis.port}") as bus:
        allowed = bus.subscribe("open")
        await within(allowed.ready)
        for refused in bus.subscribe("secret", print, on_event=events.append), bus.subscribe("secret"):
            with pytest.raises(fanwire.NoPermissionError):
                await within(refused.ready)
            assert refused.state == "failed"
        assert {event.kind for event in events} == {"failed"}
        assert isinstance(events[0].error, fanwire.NoPermissionError)
        with pytest.raises(fanwire.NoPermissionError):
            await within(bus.publish("secret", "x"))
        assert await within(bus.publish("open", "x")) == 1


def test_no_permission_for_a_client(guarded_redis):
    with fanwire.Client(f"redis://alice:pw@127.0.0.1:{guarded_redis.port}") as client:
        refused = client.subscribe("secret")
        with pytest.raises(fanwire.NoPermissionError):
            refused.wait_ready()
        with pytest.raises(fanwire.NoPermissionError):
            client.publish("secret", "x")
