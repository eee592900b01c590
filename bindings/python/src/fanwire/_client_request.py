"""Asking the subscribers of a channel, by the blocking interface."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self

from . import _native
from ._green import wait_readable
from ._native import Message
from ._replies import Progress, Replies
from .errors import ClosedError, ForkedError, UnsubscribedError

if TYPE_CHECKING:
    from .client import Client

    Item = Message | _native.RawEvent | _native.Undecodable

_BATCH = 64


class ClientRequest:
    """A request under way: to be iterated, or all() gives all Replies.

    The iteration ends when all replies have come or the time is over; `missing` then says how many did not. Both raise
    when the request itself failed, as when it could not be sent. close() ends it early, as do the end of a `with`
    block and letting go of it.
    """

    def __init__(self, client: Client, inbox: _native.Inbox, waker: _native.Waker | None) -> None:
        self._client = client
        self._inbox = inbox
        self._waker = waker  # for those who wait as greenlets
        self._native: _native.Request
        self._items: deque[Item] = deque()
        self._progress = Progress()
        self._consumer = threading.Lock()

    @property
    def missing(self) -> int | None:
        """How many replies did not come, once it is over; None before, and when nobody can know."""
        return self._progress.missing

    def all(self) -> Replies:
        """Waits until it is over: the timeout of the request at most. Lets other threads run, and Ctrl-C ends it."""
        return Replies(list(self), self.missing)

    def close(self) -> None:
        """Ends it, if it is not over yet: what has come by then can still be iterated."""
        try:
            self._native.cancel()
        except (UnsubscribedError, ClosedError, ForkedError):  # it is over
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        self._client._refuse_forked()
        with self._consumer:
            while not self._progress.done:
                if self._items:
                    reply = self._progress.reply_in(self._items.popleft())
                    if reply is not None:
                        return reply
                    continue
                self._items.extend(self._inbox.take(_BATCH))
                if self._items:
                    continue
                if self._waker is None:
                    self._inbox.wait(_native.FOREVER)
                else:
                    wait_readable(self._waker.fileno(), None)
                    self._waker.take()
        self._progress.check()
        raise StopIteration
