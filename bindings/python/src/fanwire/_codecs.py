"""Between values and payloads: the codec of a bus."""

from __future__ import annotations

import base64
import binascii
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from ._json import PYTHONS, AnyJson, Dumps, Loads, json_of
from ._values import Payload, encoder
from .errors import DecodeError, FanwireError, InvalidArgumentError

Encode = Callable[[Any], Payload]
Decode = Callable[[bytes], Any]


@runtime_checkable
class Codec(Protocol):
    """Anything with these two; a mapping with these two keys will do as well.

    encode() makes str or bytes of a value that is published, decode() makes `message.value` of the bytes of a message. What
    encode() raises, publish() raises as InvalidArgumentError. What decode() raises is an "undecodable" event.

    >>> shout = {"encode": str.upper, "decode": bytes.decode}
    >>> with fanwire.Client("memory://", codec=shout) as client, client.subscribe("chat") as messages:
    ...     client.publish("chat", "hello")
    ...     messages.get(timeout=5).value
    1
    'HELLO'
    """

    def encode(self, value: Any, /) -> Payload:
        """Returns what is sent for a value. Called in the thread that publishes."""

    def decode(self, data: bytes, /) -> Any:
        """Returns the value of a payload. Called in the thread that receives: the event loop's, or a Client's own."""


CodecName = Literal["json", "text", "bytes", "base64", "ws-kit", "msgpack"]
AnyCodec = CodecName | Codec | Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Coding:
    """What a bus encodes and decodes with."""

    encode: Encode
    decode: Decode | None  # None: message.value is the bytes
    loads: Loads | None  # what message.json() calls; None: Python's own
    is_default: bool = False


DEFAULT = Coding(encoder(PYTHONS.dumps), None, None, True)


def coding_of(codec: AnyCodec | None, json: AnyJson | None = None) -> Coding:
    """Raises InvalidArgumentError when they are none."""
    if json is None:
        return DEFAULT if codec is None else _coding_of(codec, PYTHONS.dumps, PYTHONS.loads, None)
    functions = json_of(json)
    if codec is None:
        return Coding(encoder(functions.dumps), None, functions.loads, True)
    return _coding_of(codec, functions.dumps, functions.loads, functions.loads)


def _coding_of(codec: AnyCodec, dumps: Dumps, parse: Loads, loads: Loads | None) -> Coding:
    if isinstance(codec, str):
        make = _BUILT_IN.get(codec)
        if make is None:
            raise InvalidArgumentError(f"there is no codec {codec!r}; there are {', '.join(_BUILT_IN)}")
        return _checked(codec, *make(dumps, parse), loads)
    encode: Any
    decode: Any
    if isinstance(codec, Mapping):
        if set(codec) != {"encode", "decode"}:
            raise InvalidArgumentError(f'a codec has the keys "encode" and "decode", not {sorted(map(str, codec))}')
        encode, decode = codec["encode"], codec["decode"]
    else:
        encode, decode = getattr(codec, "encode", None), getattr(codec, "decode", None)
    if not callable(encode) or not callable(decode):
        raise InvalidArgumentError(f"a codec has a function `encode` and a function `decode`, not {codec!r}")
    return _checked(f"{type(codec).__name__}", encode, decode, loads)


def _checked(name: str, encode: Encode, decode: Decode, loads: Loads | None) -> Coding:
    def checked_encode(value: Any) -> Payload:
        try:
            payload = encode(value)
        except FanwireError:
            raise
        except Exception as error:
            raise InvalidArgumentError(f"the codec {name} cannot encode the value: {error}") from error
        if isinstance(payload, (str, bytes, bytearray)):
            return payload
        if isinstance(payload, memoryview):
            return payload if payload.c_contiguous else payload.tobytes()
        raise InvalidArgumentError(f"the codec {name} made {type(payload).__name__} of the value, not str or bytes")

    def checked_decode(data: bytes) -> Any:
        try:
            return decode(data)
        except Exception as error:
            raise DecodeError(f"the codec {name} cannot decode the message: {error}") from error

    return Coding(checked_encode, checked_decode, loads)


# ---- Those that are built in


def _text_only(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise InvalidArgumentError(f'the codec "text" takes str, not {type(value).__name__}')


def _bytes_only(value: Any) -> bytes | bytearray | memoryview:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value
    raise InvalidArgumentError(f"the codec takes bytes, not {type(value).__name__}")


def _text(data: bytes) -> str:
    return data.decode()


def _json(dumps: Dumps, loads: Loads) -> tuple[Encode, Decode]:
    def decode(data: bytes) -> Any:
        return loads(data.decode())  # not loads(data), which may take UTF-16 as well

    return dumps, decode


def _to_base64(value: Any) -> bytes:
    return base64.b64encode(_bytes_only(value))


def _from_base64(data: bytes) -> bytes:
    return binascii.a2b_base64(data, strict_mode=True)


def _ws_kit(dumps: Dumps, loads: Loads) -> tuple[Encode, Decode]:
    def encode(value: Any) -> Payload:
        if isinstance(value, str):
            return value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return base64.b64encode(value)
        return dumps(value)

    def decode(data: bytes) -> Any:
        text = data.decode()
        try:
            return loads(text)
        except ValueError:
            return text

    return encode, decode


def _msgpack(dumps: Dumps, loads: Loads) -> tuple[Encode, Decode]:
    try:
        msgpack = importlib.import_module("msgpack")
    except ImportError as error:
        raise InvalidArgumentError(
            'the codec "msgpack" needs the package msgpack: pip install msgpack, or fanwire[msgpack]'
        ) from error
    return msgpack.packb, msgpack.unpackb


_BUILT_IN: dict[str, Callable[[Dumps, Loads], tuple[Encode, Decode]]] = {
    "json": _json,
    "text": lambda dumps, loads: (_text_only, _text),
    "bytes": lambda dumps, loads: (_bytes_only, bytes),
    "base64": lambda dumps, loads: (_to_base64, _from_base64),
    "ws-kit": _ws_kit,
    "msgpack": _msgpack,
}
