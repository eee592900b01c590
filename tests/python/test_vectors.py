"""tests/vectors: what every language must agree on. Their format is described there."""

import asyncio
import json
import pathlib

import fanwire
import pytest
from conftest import within
from redis_server import RawConnection

FOLDER = pathlib.Path(__file__).parent.parent / "vectors"


def cases(file, keep=lambda case: True):
    loaded = json.loads((FOLDER / file).read_text(encoding="utf-8"))["cases"]
    kept = [case for case in loaded if keep(case)]
    assert kept
    return pytest.mark.parametrize("case", kept, ids=lambda case: case["name"])


def field(case, name):
    """A field whose bytes may be spelled in hex."""
    return bytes.fromhex(case[f"{name}_hex"]) if f"{name}_hex" in case else case[name]


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def check_failure(caught, case):
    assert caught.value.name == case["status"]
    for text in case.get("mentions", []):
        assert text in str(caught.value)
    for text in case.get("never", []):
        assert text not in str(caught.value)


def test_every_case_is_named_once():
    for file in FOLDER.glob("*.json"):
        names = [case["name"] for case in json.loads(file.read_text(encoding="utf-8"))["cases"]]
        assert len(names) == len(set(names))


@cases("urls.json")
def test_urls(case):
    if "status" in case:
        with pytest.raises(fanwire.FanwireError) as caught:
            fanwire.effective_settings(case["url"])
        check_failure(caught, case)
        return
    effective = fanwire.effective_settings(case["url"])
    for name, value in case.get("get", {}).items():
        assert effective[name] == value


@cases("channels.json")
async def test_channels(case, url):
    channel = field(case, "channel")
    if "status" in case:
        with pytest.raises(fanwire.FanwireError) as caught:
            async with fanwire.connect(url, namespace=case["namespace"], channel_rules=case["rules"]) as bus:
                await bus.publish(channel, "x")
        check_failure(caught, case)
        return
    async with fanwire.connect(url, namespace=case["namespace"], channel_rules=case["rules"]) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        await bus.publish(channel, "x")
        assert (await within(anext(messages))).channel_bytes == as_bytes(channel)


@cases("channels.json", lambda case: "status" not in case)
async def test_channels_on_the_wire(case, redis, raw):
    wire = as_bytes(field(case, "wire"))
    raw.command("SUBSCRIBE", wire)
    async with fanwire.connect(redis.url, namespace=case["namespace"], channel_rules=case["rules"]) as bus:
        assert await bus.publish(field(case, "channel"), "x") == 1
    assert await within(asyncio.to_thread(raw.reply)) == [b"message", wire, b"x"]


@cases("patterns.json", lambda case: case["kind"] == "wire" and "status" in case)
async def test_bad_patterns(case, memory_url):
    with pytest.raises(fanwire.FanwireError) as caught:
        async with fanwire.connect(memory_url, namespace=case["namespace"], channel_rules=case["rules"]) as bus:
            bus.psubscribe(field(case, "pattern"))
    check_failure(caught, case)


@cases("patterns.json", lambda case: case["kind"] == "wire" and "status" not in case)
async def test_patterns_on_the_wire(case, redis):
    """Seen in Redis itself: MONITOR shows the PSUBSCRIBE, byte for byte."""
    with RawConnection(redis.port) as monitor:
        assert monitor.command("MONITOR") == b"OK"
        async with fanwire.connect(redis.url, namespace=case["namespace"], channel_rules=case["rules"]) as bus:
            subscription = bus.psubscribe(field(case, "pattern"))
            await within(subscription.ready)
            while b'"PSUBSCRIBE"' not in (line := (await within(asyncio.to_thread(monitor.reply))).upper()):
                pass
    assert line.endswith(b'"PSUBSCRIBE" "' + monitor_form(as_bytes(field(case, "wire"))).upper() + b'"')


def monitor_form(data):
    """A word as MONITOR prints it between quotes (sdscatrepr in Redis)."""
    named = {10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b", 34: b'\\"', 92: b"\\\\"}
    return b"".join(
        named.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte) for byte in data
    )


@cases("patterns.json", lambda case: case["kind"] == "match")
async def test_pattern_matching(case, url):
    async with fanwire.connect(url, namespace="", channel_rules="lax") as bus:
        if as_bytes(field(case, "text")) == b"":
            pytest.skip("no channel has an empty name")
        by_pattern = bus.psubscribe(field(case, "pattern"))
        await within(by_pattern.ready)
        assert (await bus.publish(field(case, "text"), "x") > 0) == case["match"]


@cases("values.json")
async def test_values(case, url, channel):
    value = bytes.fromhex(case["hex"]) if case["type"] == "bytes" else case["value"]
    assert isinstance(value, str) == (case["type"] == "text")
    async with fanwire.connect(url) as bus:
        messages = bus.subscribe(channel)
        await within(messages.ready)
        await bus.publish(channel, value)
        message = await within(anext(messages))
    assert message.data == bytes.fromhex(case["payload_hex"])
    if case["type"] == "json":
        assert message.json() == value
