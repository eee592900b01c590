"""`json=`: who makes and parses JSON, in each interface and with each codec."""

import datetime
import decimal
import functools
import json

import fanwire
import msgspec
import orjson
import pytest
from conftest import within

WHEN = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)


class Own:
    """Adds a mark, so that it is seen to be used."""

    @staticmethod
    def dumps(value):
        return "[" + json.dumps(value) + "]"

    @staticmethod
    def loads(text):
        assert type(text) is str
        [value] = json.loads(text)
        return value


HOOKS = {
    "json": (json, {"n": 1}, b'{"n": 1}', {"n": 1}),
    "orjson": (orjson, {"at": WHEN}, b'{"at":"2024-02-29T12:00:00+00:00"}', {"at": "2024-02-29T12:00:00+00:00"}),
    "msgspec": (msgspec.json, {"s": {1}}, b'{"s":[1]}', {"s": [1]}),
    "msgspec objects": (
        (msgspec.json.Encoder().encode, msgspec.json.Decoder(dict[str, int]).decode), {"n": 1}, b'{"n":1}', {"n": 1},
    ),
    "object": (Own(), {"n": 1}, b'[{"n": 1}]', {"n": 1}),
    "pair": (
        (functools.partial(json.dumps, default=str), functools.partial(json.loads, parse_float=decimal.Decimal)),
        {"n": 1.5}, b'{"n": 1.5}', {"n": decimal.Decimal("1.5")},
    ),
}
hooks = pytest.mark.parametrize("hook, value, payload, back", HOOKS.values(), ids=HOOKS)


@hooks
@pytest.mark.parametrize("codec", [None, "json", "ws-kit"])
async def test_of_a_bus(memory_url, hook, value, payload, back, codec):
    async with fanwire.connect(memory_url, json=hook, codec=codec) as bus, fanwire.open(memory_url, json=hook) as other:
        async with bus.subscribe("a") as stream:
            for publishing in (bus, other):
                await within(publishing.publish("a", value))
                message = await within(anext(stream))
                assert (message.data, message.json()) == (payload, back)
                assert message.value == (payload if codec is None else back)


@hooks
async def test_of_a_light_bus(memory_url, hook, value, payload, back):
    async with fanwire.Engine(memory_url, json=hook, codec="json") as engine:
        async with engine.bus().subscribe("a") as stream:
            await within(engine.bus().publish("a", value))
            message = await within(anext(stream))
            assert (message.data, message.value, message.json()) == (payload, back, back)


@hooks
def test_of_a_client(memory_url, hook, value, payload, back):
    with fanwire.Client(memory_url, json=hook) as client, client.subscribe("a") as stream:
        stream.wait_ready()
        client.publish("a", value)
        client.publish_nowait("a", value)
        for message in (stream.get(20), stream.get(20)):
            assert (message.data, message.json()) == (payload, back)


async def test_text_and_bytes_stay_as_they_are(memory_url):
    async with fanwire.open(memory_url, json=Own()) as bus, bus.subscribe("a") as stream:
        for value, payload in (("x", b"x"), (b"y", b"y"), (bytearray(b"z"), b"z"), (memoryview(b"abcd")[::2], b"ac")):
            await within(bus.publish("a", value))
            assert (await within(anext(stream))).data == payload


async def test_requests_and_replies(memory_url):
    async with fanwire.open(memory_url, json=Own()) as bus:
        answering = bus.subscribe("a", lambda message: message.reply({"asked": message.json()}))
        await within(answering.ready)
        [reply] = await within(bus.request("a", {"n": 1}))
        assert (reply.data, reply.json()) == (b'[{"asked": {"n": 1}}]', {"asked": {"n": 1}})


@pytest.mark.parametrize("hook, value", [(orjson, {1, 2}), (msgspec.json, object()), (orjson, 2**70), (Own(), {1})])
async def test_what_has_no_json(memory_url, hook, value):
    async with fanwire.open(memory_url, json=hook) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="the value has no JSON: ") as caught:
            await bus.publish("a", value)
        assert caught.value.__cause__ is not None
    with fanwire.Client(memory_url, json=hook) as client, pytest.raises(fanwire.InvalidArgumentError, match="no JSON"):
        client.publish("a", value)


async def test_what_dumps_must_return(memory_url):
    async with fanwire.open(memory_url, json=(lambda value: 7, json.loads)) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="made int of the value, not str or bytes"):
            await bus.publish("a", {})


async def test_what_is_no_json_of_a_message(memory_url):
    """Raised where it is asked for; with a codec it is an event."""
    async with fanwire.open(memory_url) as plain, fanwire.open(memory_url, json=orjson) as bus:
        async with bus.subscribe("a") as stream:
            await within(plain.publish("a", "{"))
            message = await within(anext(stream))
            with pytest.raises(orjson.JSONDecodeError):
                message.json()
    async with fanwire.open(memory_url) as plain, fanwire.open(memory_url, json=orjson, codec="json") as bus:
        async with bus.subscribe("a") as stream:
            await within(plain.publish("a", "{"))
            events = stream.events()
            kinds = [(await within(anext(events))).kind for _ in range(2)]
            assert kinds == ["active", "undecodable"]
            await within(plain.publish("a", '"x"'.encode("utf-16")))
            assert (await within(anext(events))).kind == "undecodable"


@pytest.mark.parametrize(
    "hook", ["orjson", 7, object(), (json.dumps,), (json.dumps, None), {"dumps": json.dumps, "loads": json.loads}]
)
def test_what_is_no_json_module(memory_url, hook):
    for open_it in (fanwire.Client, fanwire.Engine):
        with pytest.raises(fanwire.InvalidArgumentError, match="json must"):
            open_it(memory_url, json=hook)
    with pytest.raises(fanwire.InvalidArgumentError, match="json must"):
        fanwire.connect(memory_url, json=hook)


def test_the_protocol():
    assert isinstance(orjson, fanwire.Json) and isinstance(json, fanwire.Json)
    assert not isinstance(msgspec.json, fanwire.Json)
