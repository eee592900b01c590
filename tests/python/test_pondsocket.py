"""fanwire.pondsocket: the pub/sub of PondSocket, alone, under PondSocket and in a fleet with its own."""

import asyncio
import gc
import inspect

import child
import fanwire
import fanwire.pondsocket
import pondsocket
import pytest
from conftest import until, within
from fanwire import _pond
from fanwire.pondsocket import FanwirePubSub, PondError, PubSub, PubSubClosedError, RedisPubSub, match_topic
from fleet import Member, heard_again
from pondsocket.in_memory_transport import InMemoryTransport
from pondsocket.types import Event
from redis.asyncio import Redis
from redis_server import free_port


@pytest.fixture
async def bus(url):
    pubsub = FanwirePubSub(url)
    yield pubsub
    await pubsub.close()


class Handler:
    def __init__(self):
        self.got = []

    async def __call__(self, topic, data):
        self.got.append((topic, data))


@pytest.fixture
def handler():
    return Handler()


def test_names():
    assert RedisPubSub is FanwirePubSub
    assert PondError is pondsocket.PondError and PubSubClosedError is pondsocket.PubSubClosedError
    assert PubSub is pondsocket.PubSub and match_topic is pondsocket.match_topic


def test_the_constructor_needs_no_loop_and_opens_nothing(redis):
    pubsub = FanwirePubSub(redis.url)
    assert isinstance(pubsub, PubSub) and isinstance(pubsub, _pond.PubSub)
    assert pubsub._bus is None
    asyncio.run(pubsub.close())


def test_what_is_wrong_is_told_at_once():
    with pytest.raises(fanwire.InvalidUrlError):
        FanwirePubSub("nothing://h")
    with pytest.raises(fanwire.InvalidArgumentError, match="give a URL"):
        FanwirePubSub(object())


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("pondsocket:api:chat:.*", ["pondsocket:api:chat:", "pondsocket:api:chat:m"], ["pondsocket:api:chat", "x"]),
        ("a.*", ["a", "ab", "a.b", "a.*"], ["ba", "A"]),
        (".*", [".*"], ["", "a", ".", ".a"]),
        ("..*", [".", "..", ".a"], ["a"]),
        ("a*", ["a*"], ["ab", "a"]),
        ("a?b.*", ["a?b", "a?bc"], ["axb", "axbc"]),
        ("a*b.*", ["a*b", "a*bc"], ["axb", "axbc"]),
        ("r[1]:.*", ["r[1]:", "r[1]:m"], ["r1:", "r1:m"]),
        ("r]\\d.*", ["r]\\d", "r]\\d1"], ["r]d", "rd1"]),
        ("exact", ["exact"], ["exact1", "exac"]),
        ("ü.*", ["ü", "üb"], ["u"]),
    ],
)
async def test_patterns(bus, handler, pattern, matching, others):
    await bus.subscribe(pattern, handler)
    for topic in others:
        if topic:
            await bus.publish(topic, b"")
    for topic in matching:
        await bus.publish(topic, b"data")
    await until(lambda: len(handler.got) >= len(matching))
    assert handler.got == [(topic, b"data") for topic in matching]
    for match in match_topic, _pond.match_topic:
        assert all(match(pattern, topic) for topic in matching)
        assert not any(match(pattern, topic) for topic in others)


async def test_overlapping_patterns_each_get_it_once(bus):
    handlers = [Handler() for _ in range(4)]
    for pattern, each in zip(["t:.*", "t:a.*", "t:a:b", "t:a:.*"], handlers):
        await bus.subscribe(pattern, each)
    await bus.publish("t:a:b", b"1")
    await bus.publish("t:a:b", b"2")
    await until(lambda: all(len(each.got) >= 2 for each in handlers))
    assert [[data for _, data in each.got] for each in handlers] == [[b"1", b"2"]] * 4


async def test_bytes_arrive_as_they_are_also_none(bus, handler):
    await bus.subscribe("t.*", handler)
    for data in b"", b"\0\xff\xfe", "ü".encode():
        await bus.publish("t", data)
    await until(lambda: len(handler.got) == 3)
    assert [data for _, data in handler.got] == [b"", b"\0\xff\xfe", "ü".encode()]


async def test_several_handlers_of_a_pattern_and_the_same_one_twice(bus, handler):
    await bus.subscribe("t.*", handler)
    with pytest.raises(PondError, match="^pattern already subscribed|pubsub: pattern already subscribed") as raised:
        await bus.subscribe("t.*", handler)
    assert (raised.value.code, raised.value.channel_name) == (404, "pubsub")
    another = Handler()
    await bus.subscribe("t.*", another)
    await bus.publish("t", b"x")
    await until(lambda: handler.got and another.got)
    assert handler.got == another.got == [("t", b"x")]
    await bus.unsubscribe("t.*")
    with pytest.raises(PondError):
        await bus.unsubscribe("t.*")
    await bus.subscribe("t.*", handler)  # is possible again


async def test_a_pattern_that_is_not_subscribed(bus):
    with pytest.raises(PondError) as raised:
        await bus.unsubscribe("missing.*")
    error = raised.value
    assert (error.code, error.message, error.channel_name) == (404, "pattern not found", "pubsub")
    assert str(error) == "Error in Channel pubsub: pattern not found (code: 404)"


async def test_a_pattern_that_cannot_be(bus, handler):
    for pattern in "", "x" * 2000 + ".*":
        with pytest.raises(fanwire.InvalidChannelError):
            await bus.subscribe(pattern, handler)
        with pytest.raises(PondError, match="pattern not found"):
            await bus.unsubscribe(pattern)


async def test_after_unsubscribe_nothing_arrives(bus, handler):
    last = Handler()
    await bus.subscribe("t.*", handler)
    await bus.subscribe("t", last)
    await bus.publish("t", b"1")
    await until(lambda: handler.got and last.got)
    await bus.unsubscribe("t.*")
    await bus.publish("t", b"2")
    await until(lambda: len(last.got) == 2)
    assert handler.got == [("t", b"1")]


async def test_after_close_everything_is_a_pub_sub_closed_error(url, handler):
    pubsub = FanwirePubSub(url)
    await pubsub.subscribe("t.*", handler)
    await pubsub.close()
    await pubsub.close()
    for call in pubsub.publish("t", b""), pubsub.subscribe("t", handler), pubsub.unsubscribe("t.*"):
        with pytest.raises(PubSubClosedError, match="^pubsub: closed$"):
            await call


async def test_closing_in_the_middle_of_a_subscribe(own_redis, handler):
    pubsub = FanwirePubSub(own_redis.url)
    subscribing = asyncio.create_task(pubsub.subscribe("t.*", handler))
    publishing = asyncio.create_task(pubsub.publish("t", b""))
    await asyncio.sleep(0)
    await pubsub.close()
    with pytest.raises(PubSubClosedError):
        await within(subscribing)
    try:
        await within(publishing)  # may have been sent
    except PubSubClosedError:
        pass


async def test_unsubscribing_in_the_middle_of_a_subscribe(own_redis, handler):
    pubsub = FanwirePubSub(own_redis.url)
    subscribing = asyncio.create_task(pubsub.subscribe("t.*", handler))
    await asyncio.sleep(0)
    await pubsub.unsubscribe("t.*")
    await within(subscribing)
    assert not pubsub._subscriptions
    await pubsub.close()


async def test_a_cancelled_subscribe_leaves_nothing(own_redis, handler):
    pubsub = FanwirePubSub(own_redis.url)
    subscribing = asyncio.create_task(pubsub.subscribe("t.*", handler))
    await asyncio.sleep(0)
    subscribing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await subscribing
    assert not pubsub._subscriptions
    await pubsub.subscribe("t.*", handler)
    await pubsub.unsubscribe("t.*")
    await until(lambda: own_redis.cli("PUBSUB", "NUMPAT") == "0")
    await pubsub.close()


async def test_cancellation_at_every_turn(own_redis, handler):
    pubsub = FanwirePubSub(own_redis.url)

    async def use():
        await pubsub.subscribe("t.*", handler)
        try:
            await pubsub.publish("t", b"x")
        finally:
            await pubsub.unsubscribe("t.*")

    await use()
    for turns in range(400):
        using = asyncio.create_task(use())
        for _ in range(turns % 80):
            await asyncio.sleep(0)
        using.cancel()
        await asyncio.wait([using])
    assert not pubsub._subscriptions
    await until(lambda: own_redis.cli("PUBSUB", "NUMPAT") == "0" and not pubsub._running)
    await pubsub.close()


async def test_a_throwing_handler_ends_nothing_and_is_logged(bus, caplog):
    got = []

    async def throwing(topic, data):
        got.append(data)
        if data == b"cancel":
            raise asyncio.CancelledError
        raise ZeroDivisionError(data.decode())

    await bus.subscribe("t.*", throwing)
    for data in b"1", b"cancel", b"2":
        await bus.publish("t", data)
    await until(lambda: len(got) == 3)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        ZeroDivisionError, asyncio.CancelledError, ZeroDivisionError,
    ]


async def test_a_handler_may_wait_for_what_comes_to_another_one(bus):
    answers = asyncio.Queue()
    done = []

    async def asking(topic, data):
        await bus.publish("answer:it", data)
        done.append(await answers.get())

    async def answering(topic, data):
        await answers.put(data)

    await bus.subscribe("ask.*", asking)
    await bus.subscribe("answer.*", answering)
    await bus.publish("ask", b"1")
    await until(lambda: done == [b"1"])


@pytest.mark.parametrize("what", ["unsubscribe", "close"])
async def test_a_handler_may_end_its_own_subscription(url, what):
    pubsub = FanwirePubSub(url)
    done = asyncio.Event()

    async def leaving(topic, data):
        await (pubsub.unsubscribe("t.*") if what == "unsubscribe" else pubsub.close())
        done.set()

    await pubsub.subscribe("t.*", leaving)
    await pubsub.publish("t", b"")
    await within(done.wait())
    await pubsub.close()


async def test_close_ends_handlers_that_do_not_return(url):
    pubsub = FanwirePubSub(url)
    state = []

    async def stuck(topic, data):
        state.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            state.append("ended")

    await pubsub.subscribe("t.*", stuck)
    await pubsub.publish("t", b"")
    await until(lambda: state)
    await within(pubsub.close())
    assert state == ["began", "ended"]


async def test_topics_that_are_no_text_are_left_out(redis, raw, handler):
    pubsub = FanwirePubSub(redis.url)
    await pubsub.subscribe("t.*", handler)
    raw.command("PUBLISH", b"t\xff", "x")
    raw.command("PUBLISH", "t", "y")
    await until(lambda: handler.got)
    assert handler.got == [("t", b"y")]
    await pubsub.close()


async def test_what_it_takes_instead_of_a_url(redis, handler):
    async with fanwire.open(redis.url, namespace="") as bus, fanwire.Engine(redis.url, namespace="") as engine:
        async with Redis.from_url(redis.url) as client:
            for given in bus, engine, client:
                pubsub = FanwirePubSub(given)
                await pubsub.subscribe("t.*", handler)
                await client.publish("t", "x")
                await until(lambda: handler.got)
                await pubsub.close()
                handler.got.clear()
            assert await client.ping() and bus.state == engine.state == "connected"
        for owned in bus, engine:
            with pytest.raises(fanwire.InvalidArgumentError, match="inbox_count would have no effect"):
                FanwirePubSub(owned, inbox_count=1)
            await FanwirePubSub(owned, owns_client=True).close()
            assert owned.state == "closed"


# ---- While Redis is away


async def test_without_redis_subscribe_and_publish_keep_nobody_waiting(handler, caplog):
    port = free_port()
    pubsub = FanwirePubSub(f"redis://127.0.0.1:{port}", publish_timeout_ms=50, reconnect_delay_ms=10)
    await within(pubsub.subscribe("t.*", handler))
    await within(pubsub.publish("t", b"lost"))
    await until(lambda: "a message of PondSocket was lost" in caplog.text)
    await pubsub.close()


async def test_what_is_subscribed_and_published_in_an_outage_holds(own_redis, handler, caplog):
    pubsub = FanwirePubSub(own_redis.url, reconnect_delay_ms=10, max_reconnect_delay_ms=50)
    early = Handler()
    await pubsub.subscribe("t.*", early)
    own_redis.kill()
    await until(lambda: not pubsub._bus.connected)
    await within(pubsub.subscribe("t:late.*", handler))
    await within(pubsub.publish("t:late", b"queued"))
    own_redis.start()
    await until(lambda: pubsub._bus.connected and handler.got)
    await pubsub.publish("t:late", b"back")
    await until(lambda: len(handler.got) == 2)
    assert handler.got == early.got == [("t:late", b"queued"), ("t:late", b"back")]
    assert "messages for PondSocket were lost (reconnect)" in caplog.text
    await pubsub.close()


async def test_what_redis_refuses_is_raised(own_redis, handler):
    own_redis.cli("ACL", "SETUSER", "u", "on", ">p", "+@all", "resetchannels", "&allowed")
    pubsub = FanwirePubSub(own_redis.url, username="u", password="p")
    for _ in range(2):
        with pytest.raises(fanwire.NoPermissionError):
            await within(pubsub.subscribe("refused", handler))
    await pubsub.subscribe("allowed", handler)
    await pubsub.close()
    pubsub = FanwirePubSub(own_redis.url, username="u", password="wrong")
    for call in pubsub.subscribe("allowed", handler), pubsub.publish("allowed", b""):
        with pytest.raises(fanwire.AuthFailedError):
            await within(call)
    await pubsub.close()


# ---- Without the package pondsocket


def test_without_pondsocket(redis):
    done = child.run(
        """
        from fanwire import _pond
        from fanwire.pondsocket import FanwirePubSub, PondError, PubSub, PubSubClosedError
        assert PondError is _pond.PondError
        async def main():
            pubsub = FanwirePubSub(url)
            assert isinstance(pubsub, PubSub)
            got = asyncio.Queue()
            async def handler(*arguments):
                await got.put(arguments)
            await pubsub.subscribe("without.*", handler)
            try:
                await pubsub.unsubscribe("missing")
            except PondError as error:
                print(error)
            await pubsub.publish("without", b"x")
            print(await got.get())
            await pubsub.close()
            try:
                await pubsub.publish("without", b"x")
            except PubSubClosedError as error:
                print(error)
        asyncio.run(main())
        """,
        redis.url,
        first="import sys; sys.modules['pondsocket'] = None\n",
    )
    expected = "Error in Channel pubsub: pattern not found (code: 404)\n('without', b'x')\npubsub: closed\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_its_own_errors_are_as_pondsockets():
    cause = ValueError("why")
    rows = [
        (("m", 404), {}),
        (("m", 503), {"channel_name": "c", "temporary": True, "details": {"a": 1}, "cause": cause}),
    ]
    for arguments, keywords in rows:
        ours, theirs = (kind(*arguments, **keywords) for kind in (_pond.PondError, pondsocket.PondError))
        for name in "message", "code", "channel_name", "temporary", "details", "cause", "args", "__cause__":
            assert getattr(ours, name) == getattr(theirs, name)
        assert str(ours) == str(theirs)
    for kind in _pond.PondError, pondsocket.PondError:
        with pytest.raises(ValueError, match="^PondError code must be >= 100, got 99$"):
            kind("m", 99)
    assert str(_pond.PubSubClosedError()) == str(pondsocket.PubSubClosedError())
    for name in "subscribe", "unsubscribe", "publish", "close":
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (FanwirePubSub, pondsocket.PubSub))
        assert ours == theirs


# ---- Under PondSocket


def make_pond(pubsub):
    async def on_connection(context):
        context.accept()

    async def on_join(context):
        await context.accept()

    async def on_message(context):
        await context.broadcast(context.event_name, context.get_payload())

    pond = pondsocket.PondSocket(pubsub=pubsub)
    lobby = pond.create_endpoint("/api/socket", on_connection).create_channel("/chat/:room", on_join)
    lobby.on_message("message", on_message)
    return pond


async def join(pond, user):
    transport = InMemoryTransport(user)
    await pond.match_endpoint("/api/socket").endpoint.register_transport(transport)
    await transport.push_inbound(Event("JOIN_CHANNEL", "/chat/1", user, "join", {}))
    while (await transport.receive_sent()).event != "ACKNOWLEDGE":
        pass
    return transport


async def hears(transport, text):
    while (await within(transport.receive_sent())).payload != {"text": text}:
        pass


@pytest.mark.parametrize("shared", [True, False])
async def test_two_nodes_in_a_process(url, shared):
    first = FanwirePubSub(url)
    pubsubs = [first, first if shared else FanwirePubSub(url)]
    ponds = [make_pond(pubsub) for pubsub in pubsubs]
    users = [await join(pond, f"user{i}") for i, pond in enumerate(ponds)]
    for i, user in enumerate(users):
        await user.push_inbound(Event("BROADCAST", "/chat/1", str(i), "message", {"text": f"from {i}"}))
        for other in users:
            await hears(other, f"from {i}")
    for pond in ponds:
        await pond.close()
    for pubsub in pubsubs:
        await pubsub.close()
    gc.collect()


# A node with one user, who says what he hears of the others.
MEMBER = """
import inspect
from redis.asyncio import Redis
from test_pondsocket import Event, join, make_pond
from pondsocket.distributed import RedisPubSub
from fanwire.pondsocket import FanwirePubSub

async def main():
    pubsub = FanwirePubSub(url) if kind == "fanwire" else RedisPubSub(Redis.from_url(url), owns_client=True)
    pond = make_pond(pubsub)
    user = await join(pond, kind)
    say("ready")
    async def listen():
        while True:
            event = await user.receive_sent(wait=60)
            if event.event == "message":
                say(event.payload["text"])
    listening = asyncio.create_task(listen())
    async for text in commands():
        await user.push_inbound(Event("BROADCAST", "/chat/1", text, "message", {"text": text}))
    listening.cancel()
    await pond.close()
    await pubsub.close()
asyncio.run(main())
"""


def test_a_fleet_with_pondsockets_own(own_redis):
    kinds = ["fanwire", "pondsocket", "fanwire", "pondsocket"]
    members = [Member(MEMBER, own_redis.url, kind) for kind in kinds]
    try:
        for member in members:
            member.saw("ready")
        everybody_hears(members, "before")
        own_redis.kill()
        own_redis.start()
        for i, speaker in enumerate(members):
            heard_again(members, speaker.tell, f"back by {i}")
        everybody_hears(members, "after")
        for member in members:
            assert len(member.said) == len(set(member.said)), "nothing comes twice"
            assert member.finish() == 0, member.errors
    finally:
        for member in members:
            member.__exit__()


def everybody_hears(members, when):
    for i, speaker in enumerate(members):
        text = f"{when}: ünï \0 from {i}"
        speaker.tell(text)
        for member in members:
            member.saw(text)
