"""Settings, as keyword arguments, and the engine's table of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Unpack

from . import _native
from ._setting_types import Settings
from .errors import InvalidArgumentError, InvalidOptionError, InvalidUrlError

Given = Mapping[str, object]
"""Settings as keyword arguments, checked by the engine's table and not by their types."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table of settings."""

    name: str
    type: str
    default: str
    range: str
    help: str
    secret: bool


def settings() -> list[Setting]:
    """All settings there are; each is a keyword argument of open(), connect(), Client and Engine."""
    return [Setting(*row) for row in _native.option_table()]


def effective_settings(url: str | None = None, /, **settings: Unpack[Settings]) -> dict[str, str]:
    """What connect() would use, given the same arguments and the present environment; passwords are shown as ***.

    Opens nothing. Raises what is wrong with the settings.

    >>> fanwire.effective_settings("redis://h?namespace=chat", password="secret")["namespace"]
    'chat'
    """
    options = make_options(url, settings)
    return {name: options.get(name) for name, *_ in _native.option_table()}


def make_options(url: str | None, settings: Given) -> _native.Options:
    """Raises whatever is wrong with them, also in combination."""
    options = _native.Options()
    if url is not None:
        if not isinstance(url, str):
            raise InvalidUrlError(f"the URL must be a str, not {type(url).__name__}")
        options.set("url", to_text("url", url))
    for name, value in settings.items():
        if value is not None:
            options.set(name, to_text(name, value))
    options.get("url")  # has them all checked
    return options


_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def size_of(options: _native.Options, name: str) -> int:
    """A setting that is a size, in bytes."""
    text = options.get(name)
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text)


def to_text(name: str, value: object) -> str:
    """A setting's value as the engine takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        _check_text(name, value)
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise InvalidOptionError(f"{name} must be a str or a number, not {type(value).__name__}")


def _check_text(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        kind = InvalidUrlError if name == "url" else InvalidOptionError
        raise kind(f"{name} is not text: {error}") from error


def to_ms(timeout: float | None) -> int:
    """A timeout argument (seconds; None: no limit) as the engine takes it."""
    if timeout is None:
        return _native.FOREVER
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise InvalidArgumentError(f"timeout must be a number of seconds from 0 up, or None, not {timeout!r}")
    # Rounded up, so that a little is not nothing.
    return min(-int(-timeout * 1000 // 1), _native.FOREVER) if timeout < 1e15 else _native.FOREVER


def to_publish_ms(timeout: float | None) -> int:
    """The timeout of one publish as the engine takes it; 0: the setting."""
    if timeout is None:
        return 0
    milliseconds = to_ms(timeout)
    if milliseconds == 0:
        raise InvalidArgumentError("the timeout of a publish must be above 0 seconds, or None for the setting")
    return milliseconds


def to_deadline(timeout: float | None) -> float | None:
    """When such a timeout is over, by time.monotonic(); cut to what Python's locks take."""
    return None if timeout is None else time.monotonic() + min(timeout, threading.TIMEOUT_MAX)
