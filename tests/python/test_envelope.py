"""Envelopes. What they are byte by byte is said by tests/vectors."""

import json
import pathlib
import uuid

import fanwire
import pytest

FILE = pathlib.Path(__file__).parent.parent / "vectors" / "envelopes.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


def bytes_of(case, name):
    return bytes.fromhex(case[f"{name}_hex"]) if f"{name}_hex" in case else case.get(name, "").encode()


def id_of(case, name):
    return uuid.UUID(case[f"{name}_hex"]) if f"{name}_hex" in case else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case):
    wire = bytes_of(case, "wire")
    envelope = fanwire.Envelope.decode(wire)
    assert envelope == fanwire.Envelope(
        bytes_of(case, "payload"),
        case.get("type", "binary"),
        id_of(case, "publisher"),
        case.get("sequence", 0),
        id_of(case, "excluded"),
        case.get("reply_to", ""),
        bytes_of(case, "correlation_id"),
        bytes_of(case, "dedupe_id"),
        case.get("timestamp_ms", 0),
        case["kind"],
    )
    assert fanwire.Envelope.decode(memoryview(wire)) == envelope
    if case["kind"] == "envelope" and not case.get("written_by_others"):
        assert envelope.encode() == wire


def test_text_is_utf8():
    bytes_ = fanwire.Envelope("h\u00e9", "text", reply_to="\u00e9\udcff", correlation_id="c", dedupe_id="d").encode()
    envelope = fanwire.Envelope.decode(bytes_)
    assert envelope.payload == "h\u00e9".encode()
    assert envelope.reply_to == "\u00e9\udcff"  # a channel's name, as message.channel has it
    assert (envelope.correlation_id, envelope.dedupe_id) == (b"c", b"d")


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"type": "unknown"}, "type must be one of binary, text, json"),
        ({"type": 1}, "type"),
        ({"publisher": b"0" * 16}, "publisher must be a uuid.UUID, not bytes"),
        ({"excluded": "me"}, "excluded"),
        ({"sequence": 1}, "needs the publisher"),
        ({"sequence": -1}, "sequence must be an int from 0"),
        ({"sequence": 2**53}, "sequence"),
        ({"timestamp_ms": 1.5}, "timestamp_ms"),
        ({"reply_to": "r" * 1025}, "reply_to has 1025 bytes"),
        ({"reply_to": None}, "reply_to must be str or bytes"),
        ({"correlation_id": b"c" * 256}, "correlation_id"),
        ({"dedupe_id": 7}, "dedupe_id"),
        ({"payload": {}}, "payload must be str or bytes, not dict"),
    ],
)
def test_what_no_envelope_can_hold(fields, about):
    with pytest.raises(fanwire.InvalidArgumentError, match=about):
        fanwire.Envelope(**{"payload": b"", **fields}).encode()


@pytest.mark.parametrize("data", ["text", None, 1])
def test_only_bytes_are_decoded(data):
    with pytest.raises(fanwire.InvalidArgumentError, match="data must be bytes"):
        fanwire.Envelope.decode(data)
