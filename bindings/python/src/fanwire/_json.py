"""What makes JSON and parses it: Python's own `json`, or what a bus is given instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from .errors import InvalidArgumentError

Dumps = Callable[[Any], str | bytes]
Loads = Callable[[str], Any]


@runtime_checkable
class Json(Protocol):
    """What `json=` takes: a module or an object with these two functions, as json, orjson, ujson and simplejson have.

    dumps() makes str or bytes (UTF-8) of a value. What it raises, publish() raises as InvalidArgumentError. loads() makes a value
    of text, and raises ValueError when that is no JSON.
    `encode` and `decode`, as msgspec.json has them, and a pair (dumps, loads) will do as well.

    >>> import decimal, functools, json
    >>> exact = (json.dumps, functools.partial(json.loads, parse_float=decimal.Decimal))
    >>> with fanwire.Client("memory://", json=exact) as client, client.subscribe("chat") as messages:
    ...     client.publish("chat", [0.1])
    ...     messages.get(timeout=5).json()
    1
    [Decimal('0.1')]
    """

    def dumps(self, value: Any, /) -> str | bytes:
        """Returns the JSON of a value. Called in the thread that publishes."""

    def loads(self, text: str, /) -> Any:
        """Returns the value of a JSON text. Called in the thread that receives, or that calls message.json()."""


class JsonCoder(Protocol):
    """The same with the names that msgspec has."""

    def encode(self, value: Any, /) -> str | bytes: ...
    def decode(self, text: str, /) -> Any: ...


AnyJson = Json | JsonCoder | tuple[Dumps, Loads]


class Functions(NamedTuple):
    dumps: Dumps
    loads: Loads


def json_of(given: AnyJson) -> Functions:
    """Raises InvalidArgumentError when it has no such functions."""
    dumps: Any
    loads: Any
    if isinstance(given, (tuple, list)):
        if len(given) != 2:
            raise InvalidArgumentError(f"json must be a pair (dumps, loads), not {len(given)} values")
        dumps, loads = given
    elif hasattr(given, "dumps") or hasattr(given, "loads"):
        dumps, loads = getattr(given, "dumps", None), getattr(given, "loads", None)
    else:
        dumps, loads = getattr(given, "encode", None), getattr(given, "decode", None)
    if not callable(dumps) or not callable(loads):
        raise InvalidArgumentError(f"json must have functions `dumps` and `loads`, or be a pair of them, not {given!r}")
    return Functions(_checked(dumps), loads)


def _checked(dumps: Dumps) -> Dumps:
    def checked(value: Any) -> str | bytes:
        try:
            text = dumps(value)
        except Exception as error:  # each package has errors of its own
            raise InvalidArgumentError(f"the value has no JSON: {error}") from error
        if not isinstance(text, (str, bytes)):
            raise InvalidArgumentError(f"json.dumps() made {type(text).__name__} of the value, not str or bytes")
        return text

    return checked


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _dumps(value: Any) -> str:
    """Compact JSON."""
    try:
        return _compact(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the value has no JSON: {error}") from error


PYTHONS = Functions(_dumps, json.loads)
