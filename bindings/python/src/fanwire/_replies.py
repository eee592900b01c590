"""What comes back for a request."""

from __future__ import annotations

from collections.abc import Iterable

from . import _native
from ._native import Message
from ._settings import to_ms
from .errors import FanwireError, InvalidArgumentError, TimeoutError, make_error


class Replies(list[Message]):
    """The replies to a request, in the order in which they came.

    `missing` is how many of those that were waited for did not come: 0 when all did, None when nobody can know.
    """

    def __init__(self, replies: list[Message], missing: int | None) -> None:
        super().__init__(replies)
        self.missing = missing


class Progress:
    """What an item of a request's inbox says about it."""

    def __init__(self) -> None:
        self.done = False
        self.missing: int | None = None
        self._error: FanwireError | None = None

    def reply_in(self, item: Message | _native.RawEvent | _native.Undecodable) -> Message | None:
        """The reply, or None at the end. Raises DecodeError when the codec cannot decode it."""
        if isinstance(item, Message):
            return item
        if len(item) == 2:
            raise item[1]
        self.done = True
        status, text, self.missing = item[1], item[2], item[7]
        if status:
            self._error = make_error(status, text)
        return None

    def check(self) -> None:
        """Raises why it failed, if it did. That replies are missing is no failure."""
        if self._error is not None and not isinstance(self._error, TimeoutError):
            raise self._error


def check_expect(expect: object) -> int:
    if isinstance(expect, bool) or not isinstance(expect, int) or expect < 0:
        raise InvalidArgumentError(f"expect must be a number from 0 up, not {expect!r}")
    return expect


def names_of(channels: Iterable[str | bytes]) -> list[str | bytes]:
    if isinstance(channels, (str, bytes)):
        raise InvalidArgumentError("numsub() takes a list of channels")
    return list(channels)


def request_ms(timeout: float | None) -> int:
    """The timeout of a request as the engine takes it."""
    milliseconds = to_ms(timeout)
    if milliseconds == 0:
        raise InvalidArgumentError("the timeout of a request must be above 0 seconds, or None")
    return milliseconds
