"""Subscriptions of the blocking interface."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

from . import _native
from ._events import Event, to_event
from ._green import wait_readable, wait_until
from ._handlers import drop_awaitable
from ._log import log
from ._native import Message
from ._settings import to_deadline, to_ms
from ._subscription import MAX_BATCH, BaseSubscription, OnEvent, again, batch_of, check_max_size
from .errors import TimeoutError, UnsubscribedError

if TYPE_CHECKING:
    from .client import Client

Handler = Callable[[Message], object]

_BATCH = 64


class ClientSubscription(BaseSubscription):
    """A wish for one channel or pattern. Its messages go to its handler, in the client's own thread."""

    _public_name = "ClientSubscription"

    def __init__(
        self, client: Client, name: str | bytes, is_pattern: bool, on_event: OnEvent | None, handler: Handler | None
    ) -> None:
        super().__init__(name, is_pattern, on_event)
        self._client = client  # lives as long as somebody receives through it
        self._handler = handler

    def wait_ready(self, timeout: float | None = 5.0) -> None:
        """Waits until Redis has confirmed the subscription, up to `timeout` seconds (None: for ever).

        Raises TimeoutError, NoPermissionError or the like when Redis refuses it, UnsubscribedError or ClosedError.
        """
        timeout_ms = to_ms(timeout)
        if self._client._green:
            wait_until(lambda: self.state in ("active", "failed", "ended"), to_deadline(timeout))
            timeout_ms = 0
        self._native.wait_active(timeout_ms)

    # ---- Called by the dispatcher; messages go to the handler directly

    def _deliver_event(self, event: Event) -> None:
        self._note_end(event)
        if self._on_event is None:
            if event.kind == "undecodable" and self._handler is not None and event.error is not None:
                raise event.error  # which the dispatcher reports
        else:
            error = drop_awaitable(self._on_event(event))
            if error is not None:
                raise error


class ClientStream(ClientSubscription):
    """A subscription to be iterated, or asked by get(), by any number of threads.

    It has an inbox of its own in the engine: a slow consumer fills that and nothing else; what does not fit is dropped
    as the setting `overflow` says, and a gap event stands in its place. on_event is called by the thread that comes to
    the event.
    """

    _public_name = "ClientStream"

    def __init__(
        self,
        client: Client,
        name: str | bytes,
        is_pattern: bool,
        on_event: OnEvent | None,
        inbox: _native.Inbox,
        waker: _native.Waker | None,
    ) -> None:
        super().__init__(client, name, is_pattern, on_event, None)
        self._inbox = inbox
        self._waker = waker  # for those who wait as greenlets
        self._items: deque[Message | Event] = deque()
        self._consumer = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = self._next_message(None)
        if message is None:
            raise StopIteration
        return message

    def get(self, timeout: float | None = None) -> Message:
        """Returns the next message, waiting up to `timeout` seconds (None: for ever).

        Raises TimeoutError; UnsubscribedError or ClosedError when there will be none. Meanwhile other threads run, and
        Ctrl-C ends the wait.
        """
        message = self._next_message(timeout)
        if message is None:
            raise self._end_error()
        return message

    def batches(self, max_size: int = MAX_BATCH) -> Iterator[list[Message]]:
        """Messages in lists of 1 to `max_size`: those that wait, in order; it does not wait for a list to fill.

        Takes them from the same queue as the plain iteration and ends as that does. A list ends where an event stands:
        so on_event hears of it between the messages before and after it.
        """
        check_max_size(max_size)
        return self._batches(max_size)

    def _batches(self, max_size: int) -> Iterator[list[Message]]:
        while (items := self._next_items(None, max_size)) is not None:
            if isinstance(items, list):
                yield items
            else:
                self._report_unheard(items)

    def events(self) -> Iterator[Message | Event]:
        """Messages and events, in order. Takes them from the same queue as the plain iteration."""
        while (item := self._next(None)) is not None:
            yield item

    def _next_message(self, timeout: float | None) -> Message | None:
        to_ms(timeout)  # refuses what is no timeout
        deadline = to_deadline(timeout)
        while True:
            item = self._next(deadline)
            if item is None or isinstance(item, Message):
                return item
            self._report_unheard(item)

    def _next(self, deadline: float | None) -> Message | Event | None:
        """The next message or event; None when there will not be another one."""
        items = self._next_items(deadline, 1)
        return items[0] if isinstance(items, list) else items

    def _next_items(self, deadline: float | None, max_size: int) -> list[Message] | Event | None:
        """The next messages, or the next event; None when there will not be another one."""
        self._client._refuse_forked()  # before the lock, whose owner may be a thread of the parent
        if not self._consumer.acquire(timeout=-1 if deadline is None else _left(deadline)):
            raise TimeoutError("no message in time")
        try:
            item = self._take(deadline)
            if isinstance(item, Message):
                return [item] if max_size == 1 else batch_of(item, self._items, self._inbox, max_size)
        finally:
            self._consumer.release()
        if item is not None:
            self._deliver_event(item)
            if item.kind == "ended":
                return None
        return item

    def _take(self, deadline: float | None) -> Message | Event | None:
        while not self._stopped:
            if self._items:
                return self._items.popleft()
            if self._ended is not None:
                return None
            batch = self._inbox.take(_BATCH)
            for item in batch:
                if isinstance(item, Message):
                    self._items.append(item)
                else:
                    event = to_event(item)
                    self._note_end(event)  # here, where no other consumer can come between
                    self._items.append(event)
            if not batch and not self._wait(None if deadline is None else _left(deadline)):
                raise TimeoutError("no message in time")
            if self._waker is not None:
                time.sleep(0)  # a channel that never rests must not keep other greenlets from running
        return None

    def _wait(self, timeout: float | None) -> bool:
        """False when nothing came in time, or perhaps nothing."""
        if self._waker is None:
            return self._inbox.wait(to_ms(timeout))
        wait_readable(self._waker.fileno(), timeout)
        return bool(self._waker.take()) or timeout != 0

    def _report_unheard(self, event: Event) -> None:
        """Of an event that nobody hears of: messages do not disappear in silence."""
        if event.kind == "undecodable" and self._on_event is None:
            log.error("a message for %r is left out: %s", self, event.error, exc_info=event.error)

    def _end_error(self) -> Exception:
        if self._ended is not None:
            return again(self._ended)
        return UnsubscribedError("the subscription was unsubscribed")


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
