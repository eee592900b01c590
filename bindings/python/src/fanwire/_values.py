"""From Python values to payloads: the mapping that all languages share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._json import Dumps

Payload = str | bytes | bytearray | memoryview


def encoder(dumps: Dumps) -> Callable[[Any], Payload]:
    """Text is sent as UTF-8, bytes as they are, anything else as the JSON that `dumps` makes."""

    def encode(value: Any) -> Payload:
        if isinstance(value, (str, bytes, bytearray)):
            return value
        if isinstance(value, memoryview):
            return value if value.c_contiguous else value.tobytes()
        return dumps(value)

    return encode
