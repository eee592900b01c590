"""Envelopes: what may stand in front of a payload, so that more is known of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal, cast

from . import _native
from .errors import InvalidArgumentError

_NO_ID = bytes(16)


def _id(value: uuid.UUID | None, name: str) -> bytes:
    if value is None:
        return b""
    if isinstance(value, uuid.UUID):
        return value.bytes
    raise InvalidArgumentError(f"{name} must be a uuid.UUID, not {type(value).__name__}")


def _number(value: object, name: str) -> int:
    if isinstance(value, int) and 0 <= value < 2**53:
        return value
    raise InvalidArgumentError(f"{name} must be an int from 0 to 2**53 - 1, not {value!r}")


def _text(value: object, name: str) -> str | bytes:
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return value if isinstance(value, str) else bytes(value)
    raise InvalidArgumentError(f"{name} must be str or bytes, not {type(value).__name__}")


def _uuid(raw: bytes) -> uuid.UUID | None:
    return None if raw == _NO_ID else uuid.UUID(bytes=raw)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload and what stands in front of it. encode() gives the bytes to publish; decode() reads those of a message.

    >>> import uuid
    >>> envelope = fanwire.Envelope("hello", type="text", publisher=uuid.uuid4(), sequence=1)
    >>> fanwire.Envelope.decode(envelope.encode()).payload  # always bytes
    b'hello'
    >>> fanwire.Envelope.decode(b"published by somebody else").kind
    'plain'
    """

    payload: bytes | str
    """The payload; a str is encoded as UTF-8."""
    type: Literal["binary", "text", "json", "unknown"] = "binary"
    """What the payload is. "unknown" is one of a later version: take it as "binary"."""
    publisher: uuid.UUID | None = None
    """Who counts `sequence`; another one after each start."""
    sequence: int = 0
    """Counted by the publisher for each channel, from 1; 0: not counted."""
    excluded: uuid.UUID | None = None
    """The connection that is not to get it."""
    reply_to: str = ""
    """The channel where an answer goes."""
    correlation_id: bytes | str = b""
    """What an answer repeats."""
    dedupe_id: bytes | str = b""
    """Alike for one message that is published twice."""
    timestamp_ms: int = 0
    """When it was published, in milliseconds since 1970 by the publisher's clock; 0: not said."""
    kind: Literal["plain", "envelope", "unknown_version", "malformed"] = "envelope"
    """What decode() has found; unless that is "envelope", `payload` is all of it. encode() does not look at it."""

    def encode(self) -> bytes:
        """The bytes to publish. Raises InvalidArgumentError for what no envelope can hold."""
        code = _native.PAYLOAD_TYPES.get(self.type) if isinstance(self.type, str) else None
        if code is None:
            raise InvalidArgumentError(f"type must be one of {', '.join(_native.PAYLOAD_TYPES)}, not {self.type!r}")
        return _native.encode_envelope(
            _text(self.payload, "payload"),
            code,
            _id(self.publisher, "publisher"),
            _number(self.sequence, "sequence"),
            _id(self.excluded, "excluded"),
            _text(self.reply_to, "reply_to"),
            _text(self.correlation_id, "correlation_id"),
            _text(self.dedupe_id, "dedupe_id"),
            _number(self.timestamp_ms, "timestamp_ms"),
        )

    @classmethod
    def decode(cls, data: bytes | bytearray | memoryview) -> Envelope:
        """What the payload of a message is. Succeeds whatever the bytes are: `kind` says what they turned out to be."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise InvalidArgumentError(f"data must be bytes, not {type(data).__name__}")
        kind, payload, type_, publisher, sequence, excluded, reply_to, correlation_id, dedupe_id, timestamp_ms = (
            _native.decode_envelope(data)
        )
        return cls(
            payload,
            cast("Literal['binary', 'text', 'json', 'unknown']", type_),
            _uuid(publisher),
            sequence,
            _uuid(excluded),
            reply_to.decode("utf-8", "surrogateescape"),
            correlation_id,
            dedupe_id,
            timestamp_ms,
            cast("Literal['plain', 'envelope', 'unknown_version', 'malformed']", kind),
        )
