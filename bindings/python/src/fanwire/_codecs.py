"""Between values and payloads: the codec of a bus."""

from __future__ import annotations

import base64
import binascii
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from ._values import encode as encode_any
from ._values import to_json
from .errors import DecodeError, FanwireError, InvalidArgumentError

Payload = str | bytes | bytearray | memoryview
Encode = Callable[[Any], Payload]
Decode = Callable[[bytes], Any]


@runtime_checkable
class Codec(Protocol):
    """Anything with these two; a mapping with these two keys will do as well.

    encode() makes str or bytes of a value that is published, decode() makes `message.value` of the bytes of a message. What
    encode() raises, publish() raises as InvalidArgumentError. What decode() raises is an "undecodable" event.
    """

    def encode(self, value: Any, /) -> Payload: ...
    def decode(self, data: bytes, /) -> Any: ...


CodecName = Literal["json", "text", "bytes", "base64", "ws-kit", "msgpack"]
AnyCodec = CodecName | Codec | Mapping[str, Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Coding:
    """What a bus encodes and decodes with."""

    encode: Encode
    decode: Decode | None  # None: message.value is the bytes
    is_default: bool = False


DEFAULT = Coding(encode_any, None, True)


def coding_of(codec: AnyCodec | None) -> Coding:
    """Raises InvalidArgumentError when it is none."""
    if codec is None:
        return DEFAULT
    if isinstance(codec, str):
        make = _BUILT_IN.get(codec)
        if make is None:
            raise InvalidArgumentError(f"there is no codec {codec!r}; there are {', '.join(_BUILT_IN)}")
        return _checked(codec, *make())
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
    return _checked(f"{type(codec).__name__}", encode, decode)


def _checked(name: str, encode: Encode, decode: Decode) -> Coding:
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

    return Coding(checked_encode, checked_decode)


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


def _json(data: bytes) -> Any:
    return json.loads(data.decode())  # not loads(data), which takes UTF-16 as well


def _to_base64(value: Any) -> bytes:
    return base64.b64encode(_bytes_only(value))


def _from_base64(data: bytes) -> bytes:
    return binascii.a2b_base64(data, strict_mode=True)


def _to_ws_kit(value: Any) -> Payload:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value)
    return to_json(value)


def _from_ws_kit(data: bytes) -> Any:
    text = data.decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _msgpack() -> tuple[Encode, Decode]:
    try:
        msgpack = importlib.import_module("msgpack")
    except ImportError as error:
        raise InvalidArgumentError(
            'the codec "msgpack" needs the package msgpack: pip install msgpack, or fanwire[msgpack]'
        ) from error
    return msgpack.packb, msgpack.unpackb


_BUILT_IN: dict[str, Callable[[], tuple[Encode, Decode]]] = {
    "json": lambda: (to_json, _json),
    "text": lambda: (_text_only, _text),
    "bytes": lambda: (_bytes_only, bytes),
    "base64": lambda: (_to_base64, _from_base64),
    "ws-kit": lambda: (_to_ws_kit, _from_ws_kit),
    "msgpack": _msgpack,
}
