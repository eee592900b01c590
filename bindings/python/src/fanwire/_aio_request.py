"""Asking the subscribers of a channel, by the asyncio interface."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self

from . import _native
from ._native import Message
from ._replies import Progress, Replies
from .errors import ClosedError, ForkedError, UnsubscribedError

if TYPE_CHECKING:
    from .aio import Bus

    Item = Message | _native.RawEvent | _native.Undecodable

_BATCH = 64


class Request:
    """A request under way: `async for reply in request`, or `await request` for all Replies.

    The iteration ends when all replies have come or the time is over; `missing` then says how many did not. Both raise
    when the request itself failed, as when it could not be sent. close() ends it early, as do the end of an
    `async with` block and letting go of it.
    """

    def __init__(self, bus: Bus, inbox: _native.Inbox) -> None:
        self._bus = bus
        self._inbox: _native.Inbox | None = inbox
        self._native: _native.Request
        self._items: deque[Item] = deque()
        self._progress = Progress()
        self._consumers: set[asyncio.Future[None]] = set()

    @property
    def missing(self) -> int | None:
        """How many replies did not come, once it is over; None before, and when nobody can know."""
        return self._progress.missing

    def close(self) -> None:
        """Ends it, if it is not over yet: what has come by then can still be iterated."""
        try:
            self._native.cancel()
        except (UnsubscribedError, ClosedError, ForkedError):  # it is over
            pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._bus._check_use()
        while True:
            if self._items:
                reply = self._progress.reply_in(self._items.popleft())
                if reply is not None:
                    return reply
                self._inbox = None
                self._woken()  # others that wait are to see the end, too
            if self._progress.done or self._inbox is None:
                self._progress.check()
                raise StopAsyncIteration
            self._items.extend(self._inbox.take(_BATCH))
            if not self._items:
                await self._wait()

    def __await__(self) -> Generator[Any, None, Replies]:
        return self._all().__await__()

    async def _all(self) -> Replies:
        try:
            return Replies([reply async for reply in self], self.missing)
        except asyncio.CancelledError:
            self.close()
            raise

    async def _wait(self) -> None:
        waiter = self._bus._make_waiter()
        self._consumers.add(waiter)
        try:
            await waiter
        finally:
            self._consumers.discard(waiter)

    def _woken(self) -> None:
        """The inbox has become non-empty. Called by the bus."""
        for waiter in self._consumers:
            if not waiter.done():
                waiter.set_result(None)
