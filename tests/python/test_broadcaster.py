"""fanwire.broadcaster: a backend for Broadcast, alone and in a fleet with broadcaster's own."""

import asyncio
import gc
import logging
import subprocess
import sys

import fanwire
import fanwire.broadcaster
import pytest
from broadcaster import Broadcast, BroadcastBackend, Event
from conftest import until, within
from fanwire.broadcaster import FanwireBackend, RedisBackend
from fleet import Member, heard_again
from redis.asyncio import Redis
from redis.credentials import UsernamePasswordCredentialProvider
from redis_server import free_port


@pytest.fixture
def fanwire_url(redis):
    return f"fanwire://127.0.0.1:{redis.port}"


async def test_a_url_of_broadcast(fanwire_url, channel):
    async with Broadcast(fanwire_url) as broadcast:
        async with broadcast.subscribe(channel) as subscriber:
            await broadcast.publish(channel, "hello")
            event = await within(subscriber.get())
    assert event == Event(channel, "hello")
    assert type(event.channel) is str and type(event.message) is str


async def test_a_backend_of_broadcast(redis, channel):
    backend = FanwireBackend(redis.url)
    assert isinstance(backend, BroadcastBackend)
    async with Broadcast(backend=backend) as broadcast, broadcast.subscribe(channel) as subscriber:
        await broadcast.publish(channel, "hello")
        assert (await within(subscriber.get())).message == "hello"


def test_it_has_the_name_of_broadcasters_own_as_well():
    assert RedisBackend is FanwireBackend


@pytest.mark.parametrize(
    ("url", "engine_url"),
    [
        ("fanwire://h:1/2?namespace=a", "redis://h:1/2?namespace=a"),
        ("Fanwires://h", "rediss://h"),
        ("fanwire+unix:///s", "unix:///s"),
        ("fanwire+memory://x", "memory://x"),
    ],
)
def test_schemes(url, engine_url):
    backend = Broadcast(url)._backend
    assert isinstance(backend, FanwireBackend) and backend._url == engine_url


def test_other_schemes_are_broadcasters():
    assert type(Broadcast("memory://")._backend).__module__.startswith("broadcaster.")
    assert type(Broadcast("redis://127.0.0.1:1")._backend).__module__.startswith("broadcaster.")
    with pytest.raises(ValueError, match="Unsupported backend: nothing"):
        Broadcast("nothing://")


def test_neither_url_nor_conn():
    with pytest.raises(AssertionError, match="^conn must be provided if url is not$"):
        FanwireBackend()


def test_what_is_wrong_is_told_at_once():
    with pytest.raises(fanwire.InvalidUrlError):
        FanwireBackend("nothing://h")
    with pytest.raises(fanwire.UnknownOptionError):
        FanwireBackend("redis://h", conect_timeout_ms=1)


def test_there_is_no_namespace_unless_it_is_set(monkeypatch):
    monkeypatch.setenv("FANWIRE_NAMESPACE", "environment")

    def namespace(*arguments, **settings):
        backend = FanwireBackend(*arguments, **settings)
        return fanwire.effective_settings(backend._url, **backend._settings)["namespace"]

    assert namespace("redis://h") == ""
    assert namespace(url="redis://h") == ""
    assert namespace("redis://h?namespace=url") == "url"
    assert namespace("redis://h", namespace="argument") == "argument"


async def test_a_client_of_redis_py_says_where_its_server_is(redis, channel):
    async with Redis.from_url(redis.url) as client:
        async with Broadcast(backend=FanwireBackend(conn=client)) as broadcast:
            async with broadcast.subscribe(channel) as subscriber:
                await client.publish(channel, "theirs")
                assert (await within(subscriber.get())).message == "theirs"
        assert await client.ping()  # is not closed


async def test_settings_of_a_client_of_redis_py():
    from fanwire._faces import settings_of_client

    def settings(url, **options):
        return settings_of_client(Redis.from_url(url, **options))

    # What a version of redis-py has of its own accord does not matter here.
    def given(url, **options):
        return {name: value for name, value in settings(url, **options).items() if name != "connect_timeout_ms"}

    assert given("redis://u:p@h:1/2") == {"host": "h", "port": 1, "db": 2, "username": "u", "password": "p"}
    assert given("unix:///s") == {"unix_path": "/s"}
    tls = given("rediss://h", ssl_ca_certs="ca.pem", ssl_check_hostname=False)
    assert tls == {"host": "h", "tls": True, "tls_ca_file": "ca.pem", "tls_verify": "ca"}
    assert given("rediss://h", ssl_cert_reqs="none")["tls_verify"] is False
    provider = UsernamePasswordCredentialProvider("a", "b")
    assert given("redis://h", credential_provider=provider) == {"host": "h", "username": "a", "password": "b"}
    assert settings("redis://h", socket_connect_timeout=0.5)["connect_timeout_ms"] == 500


@pytest.mark.parametrize("conn", [object(), 7, "redis://h"])
def test_what_is_no_client(conn):
    with pytest.raises(fanwire.InvalidArgumentError, match="give a URL"):
        FanwireBackend(conn=conn)


async def test_a_bus_or_an_engine_stays_open(redis, channel):
    async with fanwire.connect(redis.url, namespace="") as bus, fanwire.Engine(redis.url, namespace="") as engine:
        for conn in bus, engine:
            with pytest.raises(fanwire.InvalidArgumentError, match="inbox_count would have no effect"):
                FanwireBackend(conn=conn, inbox_count=1)
            async with Broadcast(backend=FanwireBackend(conn=conn)) as broadcast:
                async with broadcast.subscribe(channel) as subscriber:
                    await bus.publish(channel, "hello")
                    assert (await within(subscriber.get())).message == "hello"
            assert conn.state == "connected"


async def test_subscribe_returns_when_confirmed(redis, raw, channel):
    backend = FanwireBackend(redis.url)
    await backend.connect()
    await backend.subscribe(channel)
    assert raw.command("PUBSUB", "NUMSUB", channel) == [channel.encode(), 1]
    await backend.subscribe(channel)  # again is harmless
    raw.command("PUBLISH", channel, "once")
    assert await within(backend.next_published()) == Event(channel, "once")
    await backend.unsubscribe(channel)
    await until(lambda: raw.command("PUBSUB", "NUMSUB", channel) == [channel.encode(), 0])
    await backend.unsubscribe(channel)
    assert backend._events.empty()
    await backend.disconnect()


@pytest.mark.parametrize(("value", "sent"), [("ü", "ü".encode()), (b"b", b"b"), (7, b"7"), (1.5, b"1.5"), ("", b"")])
async def test_what_is_published(redis, raw, channel, value, sent):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    async with Broadcast(backend=FanwireBackend(redis.url)) as broadcast:
        await broadcast.publish(channel, value)
        assert raw.reply() == [b"message", channel.encode(), sent]


async def test_what_is_not_utf8_is_left_out_and_reported(redis, raw, channel, caplog):
    async with Broadcast(backend=FanwireBackend(redis.url)) as broadcast, broadcast.subscribe(channel) as subscriber:
        raw.command("PUBLISH", channel, b"\xff\xfe")
        raw.command("PUBLISH", channel, "text")
        assert (await within(subscriber.get())).message == "text"
        assert not broadcast._listener_task.done()
    assert [channel in record.getMessage() for record in caplog.records if record.name == "fanwire"] == [True]


async def test_a_handler_that_throws_stops_nobody_else(fanwire_url, channel):
    async with Broadcast(fanwire_url) as broadcast:
        async with broadcast.subscribe(channel) as good:
            with pytest.raises(ZeroDivisionError):
                async with broadcast.subscribe(channel) as bad:
                    await broadcast.publish(channel, "1")
                    await within(bad.get())
                    raise ZeroDivisionError
            await broadcast.publish(channel, "2")
            assert [(await within(good.get())).message for _ in range(2)] == ["1", "2"]


async def test_connecting_to_nothing_raises_and_leaves_nothing_open():
    broadcast = Broadcast(f"fanwire://127.0.0.1:{free_port()}")
    with pytest.raises(ConnectionError):
        await broadcast.connect()
    assert broadcast._backend._bus is None
    gc.collect()  # an open bus would be a ResourceWarning


async def test_a_cancelled_connect_leaves_nothing_open(own_redis):
    backend = FanwireBackend(own_redis.url)
    task = asyncio.create_task(backend.connect())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backend._bus is None


async def test_it_can_be_connected_again(redis, channel):
    broadcast = Broadcast(backend=FanwireBackend(redis.url))
    for text in "12":
        async with broadcast, broadcast.subscribe(channel) as subscriber:
            await broadcast.publish(channel, text)
            assert (await within(subscriber.get())).message == text


async def test_publishing_needs_no_connect(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    backend = FanwireBackend(redis.url)
    await backend.publish(channel, "hello")
    assert raw.reply()[2] == b"hello"
    await backend.disconnect()


async def test_disconnect_before_subscribers_leave(redis, channel):
    broadcast = Broadcast(backend=FanwireBackend(redis.url))
    await broadcast.connect()
    async with broadcast.subscribe(channel):
        await broadcast.disconnect()


async def test_disconnecting_while_redis_is_away_is_quick(own_redis, channel):
    broadcast = Broadcast(backend=FanwireBackend(own_redis.url, publish_timeout_ms=60_000))
    await broadcast.connect()
    own_redis.kill()
    await until(lambda: not broadcast._backend._bus.connected)
    publishing = asyncio.create_task(broadcast.publish(channel, "x"))
    await asyncio.sleep(0)
    await within(broadcast.disconnect())
    with pytest.raises(fanwire.FanwireError):
        await within(publishing)


async def test_a_subscribe_that_is_cancelled_is_forgotten(own_redis, channel):
    backend = FanwireBackend(own_redis.url)
    await backend.connect()
    try:
        own_redis.kill()
        await until(lambda: not backend._bus.connected)
        first = asyncio.create_task(backend.subscribe(channel))
        second = asyncio.create_task(backend.subscribe(channel))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        own_redis.start()
        await within(second)  # whoever waited with it is not cancelled
        await backend.publish(channel, "hello")
        assert await within(backend.next_published()) == Event(channel, "hello")
        await backend.unsubscribe(channel)
        cancelled = asyncio.create_task(backend.subscribe(channel + "2"))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not backend._subscriptions
        await until(lambda: own_redis.cli("PUBSUB", "CHANNELS") == "")
    finally:
        await backend.disconnect()


async def test_cancellation_at_every_turn(own_redis, channel):
    backend = FanwireBackend(own_redis.url)
    await backend.connect()

    async def use():
        try:
            await backend.subscribe(channel)
            await backend.publish(channel, "x")
            await backend.next_published()
        finally:
            await backend.unsubscribe(channel)

    for turns in range(400):
        using = asyncio.create_task(use())
        for _ in range(turns % 80):
            await asyncio.sleep(0)
        using.cancel()
        await asyncio.wait([using])
    assert not backend._subscriptions
    await until(lambda: own_redis.cli("PUBSUB", "CHANNELS") == "")
    await within(use())
    await backend.disconnect()


async def test_what_redis_refuses_is_raised(own_redis, channel):
    own_redis.cli("ACL", "SETUSER", "u", "on", ">p", "+@all", "resetchannels", "&allowed")
    async with Broadcast(backend=FanwireBackend(own_redis.url, username="u", password="p")) as broadcast:
        for _ in range(2):
            with pytest.raises(fanwire.NoPermissionError):
                await within(broadcast._backend.subscribe(channel))
        with pytest.raises(fanwire.NoPermissionError):
            await broadcast.publish(channel, "x")
        await broadcast._backend.subscribe("allowed")


async def test_what_nobody_takes_has_a_limit_and_is_reported(redis, raw, channel, caplog):
    backend = FanwireBackend(redis.url, inbox_count=3)
    await backend.connect()
    await backend.subscribe(channel)
    for i in range(5):
        raw.command("PUBLISH", channel, str(i))
        await until(lambda: backend._events.qsize() == min(3, i + 1) and (i < 3 or backend._dropped == i - 2))
    assert [(await within(backend.next_published())).message for _ in range(3)] == ["2", "3", "4"]
    assert "inbox_count (3)" in caplog.text
    await backend.disconnect()


async def test_lost_messages_are_reported(own_redis, channel, caplog):
    async with Broadcast(backend=FanwireBackend(own_redis.url)) as broadcast, broadcast.subscribe(channel) as subscriber:
        own_redis.kill()
        own_redis.start()
        await until(lambda: "some messages for broadcaster were lost (reconnect)" in caplog.text)
        await broadcast.publish(channel, "again")
        assert (await within(subscriber.get())).message == "again"


def test_without_broadcaster_the_error_says_what_to_install():
    code = "import sys; sys.modules['broadcaster'] = None; import fanwire.broadcaster"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install broadcaster, or fanwire[broadcaster]" in done.stderr


MEMBER = """
from broadcaster import Broadcast
if kind == "fanwire":
    import fanwire.broadcaster
    url = url.replace("redis:", "fanwire:")

async def listen(broadcast):
    async with broadcast.subscribe("room") as subscriber:
        say("ready")
        async for event in subscriber:
            say(event.message)

async def main():
    async with Broadcast(url) as broadcast:
        listening = asyncio.create_task(listen(broadcast))
        async for command in commands():
            await broadcast.publish("room", command)
        listening.cancel()
asyncio.run(main())
"""


def test_a_fleet_with_broadcasters_own(own_redis):
    """Theirs never receives again once Redis was away, so that one is started again."""
    with Member(MEMBER, own_redis.url, "fanwire") as ours, Member(MEMBER, own_redis.url, "fanwire") as another:
        with Member(MEMBER, own_redis.url, "broadcaster") as theirs:
            everybody_hears([ours, another, theirs], "before")
            own_redis.kill()
            own_redis.start()
        with Member(MEMBER, own_redis.url, "broadcaster") as theirs:
            theirs.saw("ready")
            heard_again([ours, another, theirs], ours.tell, "back by ours")
            everybody_hears([ours, another, theirs], "after")
        for member in ours, another:
            assert len(member.said) == len(set(member.said)), "nothing comes twice"
            assert member.finish() == 0, member.errors


def everybody_hears(members, when):
    for member in members:
        member.saw("ready")
    for speaker in members:
        text = f"{when}: ünï \0 from {id(speaker)}"
        speaker.tell(text)
        for member in members:
            member.saw(text)
