"""From Python values to payloads: the mapping that all languages share."""

from __future__ import annotations

import json
from typing import Any

from .errors import InvalidArgumentError

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def to_json(value: Any) -> str:
    """Compact JSON."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"the value has no JSON: {error}") from error


def encode(value: Any) -> str | bytes | bytearray | memoryview:
    """Text is sent as UTF-8, bytes as they are, anything else as compact JSON."""
    if isinstance(value, (str, bytes, bytearray)):
        return value
    if isinstance(value, memoryview):
        return value if value.c_contiguous else value.tobytes()
    return to_json(value)
