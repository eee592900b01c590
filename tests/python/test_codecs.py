"""Codecs of a bus: what is published, what `message.value` is, and what happens to what cannot be decoded."""

import asyncio
import base64
import sys

import fanwire
import msgpack
import pytest
from conftest import until, until_blocking, within

BINARY = b"\0\xff"

# codec, value, payload, what comes out
ROWS = [
    (None, "é", "é".encode(), "é".encode()),
    (None, {"n": 1}, b'{"n":1}', b'{"n":1}'),
    ("json", {"n": [1, None]}, b'{"n":[1,null]}', {"n": [1, None]}),
    ("json", "é", '"é"'.encode(), "é"),
    ("json", None, b"null", None),
    ("text", "é", "é".encode(), "é"),
    ("text", "", b"", ""),
    ("bytes", BINARY, BINARY, BINARY),
    ("bytes", memoryview(b"abcd")[::2], b"ac", b"ac"),
    ("base64", BINARY, base64.b64encode(BINARY), BINARY),
    ("base64", bytearray(b"ab"), b"YWI=", b"ab"),
    # ws-kit's table
    ("ws-kit", "plain", b"plain", "plain"),
    ("ws-kit", '{"n":1}', b'{"n":1}', {"n": 1}),
    ("ws-kit", {"n": 1}, b'{"n":1}', {"n": 1}),
    ("ws-kit", 1.5, b"1.5", 1.5),
    ("ws-kit", True, b"true", True),
    ("ws-kit", None, b"null", None),
    ("ws-kit", BINARY, b"AP8=", "AP8="),
    ("msgpack", {"n": [1, BINARY, "é"]}, msgpack.packb({"n": [1, BINARY, "é"]}), {"n": [1, BINARY, "é"]}),
    ({"encode": lambda value: value[::-1], "decode": lambda data: data.decode()[::-1]}, "abc", b"cba", "abc"),
]
rows = pytest.mark.parametrize("codec, value, payload, back", ROWS)


@rows
async def test_values(memory_url, codec, value, payload, back):
    async with fanwire.open(memory_url, codec=codec) as bus:
        stream, awaited, handled = bus.subscribe("a"), [], []

        async def handler(message):
            awaited.append(message.value)

        await within(bus.subscribe("a", handler).ready)
        await within(bus.subscribe("a", lambda message: handled.append(message.value)).ready)
        await within(bus.publish("a", value))
        bus.publish_nowait("a", value)
        messages = [await within(anext(stream)), *(await within(anext(stream.batches(1))))]
        assert [message.data for message in messages] == [payload] * 2
        assert [message.value for message in messages] == [back] * 2
        assert messages[0].value is messages[0].value
        await until(lambda: handled == awaited == [back] * 2)


@rows
def test_values_of_a_client(memory_url, codec, value, payload, back):
    with fanwire.Client(memory_url, codec=codec) as client:
        handled = []
        client.subscribe("a", lambda message: handled.append(message.value)).wait_ready()
        stream = client.subscribe("a")
        stream.wait_ready()
        client.publish("a", value)
        client.publish_nowait("a", value)
        messages = [stream.get(5), *next(stream.batches(1))]
        assert [(message.data, message.value) for message in messages] == [(payload, back)] * 2
        until_blocking(lambda: handled == [back] * 2)


@pytest.mark.parametrize(
    "codec, value",
    [
        ("json", b"bytes"),
        ("json", {1, 2}),
        ("json", float("nan")),
        ("text", 1),
        ("text", b"bytes"),
        ("bytes", "text"),
        ("base64", "text"),
        ("msgpack", object()),
        ("ws-kit", object()),
        ({"encode": lambda value: 1 / 0, "decode": bytes}, "x"),
        ({"encode": lambda value: 7, "decode": bytes}, "x"),
    ],
)
async def test_what_cannot_be_encoded(memory_url, codec, value):
    async with fanwire.open(memory_url, codec=codec) as bus:
        with pytest.raises(fanwire.InvalidArgumentError) as caught:
            await bus.publish("a", value)
        assert str(caught.value)
        with pytest.raises(fanwire.InvalidArgumentError):
            bus.publish_nowait("a", value)
        assert bus.stats()["publish_ok"] == 0
    with fanwire.Client(memory_url, codec=codec) as client, pytest.raises(fanwire.InvalidArgumentError):
        client.publish("a", value)


@pytest.mark.parametrize(
    "codec, payload",
    [("json", b"{"), ("json", "1".encode("utf-16")), ("text", b"\xff"), ("base64", b"A?=="), ("msgpack", b"\xc1")],
)
async def test_what_cannot_be_decoded(memory_url, codec, payload):
    """An event in its place; what else there is goes on."""
    good = {"json": 1, "text": "x", "base64": b"x", "msgpack": 1}[codec]
    seen = {}

    def note(kind):
        return lambda item: seen.setdefault(kind, []).append(item)

    async with fanwire.open(memory_url, codec=codec) as bus:

        async def handler(message):
            note("async")(message)

        bus.subscribe("a", note("plain"), on_event=note("plain"))
        bus.subscribe("a", handler, on_event=note("async"))
        stream = bus.subscribe("a", on_event=note("on_event"))
        await within(stream.ready)
        # What others send:
        raw = fanwire._native.make_publisher(bus._engine, lambda value: value)
        bus.publish_nowait("a", good)
        raw.publish_nowait("a", payload)
        bus.publish_nowait("a", good)
        events = stream.events()
        seen["stream"] = [await within(anext(events)) for _ in range(4)]
        await until(lambda: len(seen.get("plain", [])) == len(seen.get("async", [])) == 4)
    for kind in ("plain", "async", "stream"):
        assert seen[kind][0].kind == "active"
        first, bad, last = seen[kind][1:4]
        assert first.value == last.value == good
        assert bad.kind == "undecodable" and bad.message.data == payload
        assert isinstance(bad.error, fanwire.DecodeError) and codec in str(bad.error) and bad.error.__cause__
    assert [event.kind for event in seen["on_event"]] == ["active", "undecodable"]


def bad(data):
    if data == b"bad":
        raise KeyError("oh no")
    return data


FAULTY = {"encode": lambda value: value, "decode": bad}


@pytest.mark.parametrize("consumer", ["plain", "async", "iterate", "batches"])
async def test_nobody_listens_to_events(memory_url, consumer):
    reports, got = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    async def handler(message):
        got.append(message.value)

    async with fanwire.open(memory_url, codec=FAULTY) as bus:
        given = {"plain": lambda message: got.append(message.value), "async": handler}.get(consumer)
        subscription = bus.subscribe("a", given)
        for value in (b"1", b"bad", b"2"):
            await within(bus.publish("a", value))
        if consumer == "iterate":
            got += [(await within(anext(subscription))).value for _ in range(2)]
        elif consumer == "batches":
            batches = subscription.batches()
            while len(got) < 2:
                got += [message.value for message in await within(anext(batches))]
        await until(lambda: got == [b"1", b"2"] and reports)
    assert [type(report["exception"]) for report in reports] == [fanwire.DecodeError]
    assert reports[0]["received"].data == b"bad"


@pytest.mark.parametrize("consumer", ["plain", "iterate", "batches"])
def test_nobody_listens_to_events_of_a_client(memory_url, consumer, caplog):
    got = []
    with fanwire.Client(memory_url, codec=FAULTY) as client:
        subscription = client.subscribe("a", (lambda message: got.append(message.value)) if consumer == "plain" else None)
        for value in (b"1", b"bad", b"2"):
            client.publish("a", value)
        if consumer == "iterate":
            got += [subscription.get(5).value for _ in range(2)]
        elif consumer == "batches":
            batches = subscription.batches()
            while len(got) < 2:
                got += [message.value for message in next(batches)]
        until_blocking(lambda: got == [b"1", b"2"] and caplog.records)
    assert "oh no" in caplog.text


async def test_a_message_is_decoded_once_for_all_handlers(memory_url):
    decoded, got = [], []

    def decode(data):
        decoded.append(data)
        return bad(data)

    async with fanwire.open(memory_url, codec={"encode": lambda value: value, "decode": decode}) as bus:
        for _ in range(11):
            last = bus.subscribe("a", lambda message: got.append(message.value), on_event=lambda event: None)
        await within(last.ready)
        for value in (b"x", b"bad", b"x"):
            await within(bus.publish("a", value))
        await until(lambda: len(got) == 22)
    assert len(decoded) == 3
    assert len({id(value) for value in got[:11]}) == 1


async def test_decoding_may_use_the_bus(memory_url):
    def decode(data):
        bus.publish_nowait("b", data)
        return data

    got = []
    async with fanwire.open(memory_url, codec={"encode": lambda value: value, "decode": decode}) as bus:
        await within(bus.subscribe("a", got.append).ready)
        await within(bus.publish("a", b"x"))
        await until(lambda: got)


@pytest.mark.parametrize(
    "codec, mentions",
    [
        ("jsn", "json"),
        (7, "encode"),
        ({"encode": str}, "decode"),
        ({"encode": str, "decode": 1}, "decode"),
        ({"encode": str, "decode": str, "more": 1}, "more"),
    ],
)
async def test_what_is_no_codec(codec, mentions):
    for make in (fanwire.open, fanwire.connect, fanwire.Client, fanwire.Engine):
        with pytest.raises(fanwire.InvalidArgumentError, match=mentions):
            make("memory://", codec=codec)


async def test_an_object_as_a_codec(memory_url):
    class Upper:
        def encode(self, value):
            return value.upper()

        def decode(self, data):
            return data.decode().lower()

    assert isinstance(Upper(), fanwire.Codec)
    async with fanwire.Engine(memory_url, codec=Upper()) as engine:
        stream = engine.bus().subscribe("a")
        await within(stream.ready)
        await within(engine.bus().publish("a", "x"))
        message = await within(anext(stream))
        assert (message.data, message.value, message.text) == (b"X", "x", "X")


async def test_msgpack_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(fanwire.InvalidArgumentError, match="pip install msgpack"):
        fanwire.open("memory://", codec="msgpack")
