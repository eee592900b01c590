"""What subscriptions of the asyncio and of the blocking interface have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, NoReturn, Self, cast

from . import _native
from ._events import Event
from ._native import Message
from .errors import ClosedError, FanwireError, ForkedError, InvalidArgumentError, UnsubscribedError

State = Literal["pending", "active", "lost", "failed", "ended"]
OnEvent = Callable[[Event], object]

MAX_BATCH = 512  # messages that batches() gives at once, unless told otherwise


class BaseSubscription(_native.Receiver):
    """A wish for one channel or pattern."""

    _public_name = "Subscription"

    def __init__(self, name: str | bytes, is_pattern: bool, on_event: OnEvent | None) -> None:
        self._name = name
        self._is_pattern = is_pattern
        self._on_event = on_event
        self._stopped = False  # unsubscribe() was called: nothing is delivered any more
        self._ended: UnsubscribedError | ClosedError | None = None
        self._native: _native.Subscription

    @property
    def channel(self) -> str | None:
        """The channel; None when it is for a pattern."""
        return None if self._is_pattern else _to_text(self._name)

    @property
    def pattern(self) -> str | None:
        """The pattern; None when it is for a channel."""
        return _to_text(self._name) if self._is_pattern else None

    @property
    def state(self) -> State:
        """How it stands now: pending, active, lost, failed or ended."""
        return cast(State, _native.SUBSCRIPTION_STATES[self._native.state()])

    def unsubscribe(self) -> None:
        """Ends it; no further message is delivered. The second time raises UnsubscribedError; close() does not."""
        self._native.unsubscribe()
        self._stopped = True

    def close(self) -> None:
        """Ends it, if it has not ended yet: unsubscribe() for those who do not care."""
        try:
            self.unsubscribe()
        except (UnsubscribedError, ClosedError, ForkedError):  # a forked child has nothing to end
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self!r} can be neither copied nor pickled: subscribe again")

    def __repr__(self) -> str:
        what = "pattern" if self._is_pattern else "channel"
        try:
            state: str = self.state
        except ForkedError:
            state = "of another process"
        return f"<fanwire.{self._public_name} of {what} {self._name!r}, {state}>"

    def _note_end(self, event: Event) -> None:
        if event.kind == "ended":
            self._ended = cast(UnsubscribedError | ClosedError, event.error)


def check_max_size(max_size: int) -> None:
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:
        raise InvalidArgumentError(f"max_size must be a positive integer, not {max_size!r}")


def batch_of(
    first: Message, items: deque[Message | Event], inbox: _native.Inbox | None, max_size: int
) -> list[Message]:
    """`first` and the messages that wait behind it, in `items` and then in the inbox, up to the next event."""
    batch = [first]
    while items and len(batch) < max_size and isinstance(items[0], Message):
        batch.append(items.popleft())  # type: ignore[arg-type]
    if not items and inbox is not None and len(batch) < max_size:
        batch += inbox.take_messages(max_size - len(batch))
    return batch


def again(error: FanwireError) -> FanwireError:
    """A new exception like `error`: one that is raised twice collects the traceback of both."""
    return type(error)(*error.args)


def _to_text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
