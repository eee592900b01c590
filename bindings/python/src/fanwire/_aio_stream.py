"""Subscriptions that are consumed at their consumer's pace: by iteration, or by a handler that is awaited.

Each has an inbox of its own in the engine and takes from it only what is consumed. So a slow consumer fills that
bounded inbox and nothing else; what does not fit is dropped as the setting `overflow` says, and a gap event stands in
its place. There is no second queue to be bounded, but for the one batch at hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Self

from . import _native
from ._aio_subscription import Handler, Subscription
from ._events import Event, to_event
from ._handlers import must_be_awaited
from ._native import Message
from ._subscription import MAX_BATCH, OnEvent, batch_of, check_max_size

if TYPE_CHECKING:
    from .aio import Bus

AsyncHandler = Callable[[Message], Awaitable[object]]

BATCH = 64


class PulledSubscription(Subscription):
    def __init__(
        self, bus: Bus, name: str | bytes, is_pattern: bool, on_event: OnEvent | None, inbox: _native.Inbox
    ) -> None:
        super().__init__(bus, name, is_pattern, on_event, None)
        self._inbox: _native.Inbox | None = inbox
        self._items: deque[Message | Event] = deque()
        self._consumers: set[asyncio.Future[None]] = set()  # that found nothing
        self._hurrying = False  # a batch was found without having to wait

    def unsubscribe(self) -> None:
        super().unsubscribe()
        self._items = deque(item for item in self._items if isinstance(item, Event))  # on_event is to hear of these
        self._woken()

    def _woken(self) -> None:
        """The inbox has become non-empty. Called by the bus."""
        while self._refill() and self._stopped:  # then nobody will ask any more
            while self._items:
                self._take()
        self._wake_consumers()

    def _refill(self) -> bool:
        if self._inbox is None or len(self._items) >= BATCH:
            return False
        batch = self._inbox.take(BATCH - len(self._items))
        for item in batch:
            if isinstance(item, Message):
                self._items.append(item)
            else:
                event = to_event(item)
                self._note(event)
                self._items.append(event)
        if self._ended is not None:
            self._inbox = None
        return bool(batch)

    def _take(self) -> Message | Event | None:
        while self._items:
            item = self._items.popleft()
            if isinstance(item, Message):
                return item
            self._tell(item)
            if item.kind != "ended":
                return item
        return None

    async def _next(self) -> Message | Event | None:
        """The next message or event; None when there will not be another one."""
        self._bus._check_use()
        while True:
            if self._in_order is not None and self._in_order.busy:
                await self._in_order.idle()  # on_event has its time before what comes after the event
            if self._stopped:
                return None
            item = self._take()
            if item is not None:
                return item
            if self._inbox is None:
                return None
            if not self._refill():
                self._hurrying = False
                await self._wait()
            elif self._hurrying:
                await asyncio.sleep(0)  # a channel that never rests must not keep others from running
            else:
                self._hurrying = True

    async def _wait(self) -> None:
        waiter = self._bus._make_waiter()
        self._consumers.add(waiter)
        try:
            await waiter
        finally:
            self._consumers.discard(waiter)

    def _wake_consumers(self) -> None:
        for waiter in self._consumers:
            if not waiter.done():
                waiter.set_result(None)


class Stream(PulledSubscription):
    """A subscription to be iterated: `async for message in bus.subscribe("chat")`.

    The iteration ends when it is unsubscribed or the bus is closed. A stream that nobody refers to any more is
    unsubscribed. Its on_event is called when the iteration comes to the event.
    """

    _public_name = "Stream"
    _reports_undecodable = False  # an iteration of events() hears of them

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self._items and isinstance(self._items[0], Message):
            return self._items.popleft()  # type: ignore[return-value]
        while True:
            item = await self._next()
            if item is None:
                raise StopAsyncIteration
            if isinstance(item, Message):
                return item
            self._report_unheard(item)

    def batches(self, max_size: int = MAX_BATCH) -> AsyncIterator[list[Message]]:
        """Messages in lists of 1 to `max_size`: those that wait, in order; it does not wait for a list to fill.

        Takes them from the same queue as the plain iteration and ends as that does. A list ends where an event stands:
        so on_event hears of it between the messages before and after it.
        """
        check_max_size(max_size)
        return self._batches(max_size)

    async def _batches(self, max_size: int) -> AsyncIterator[list[Message]]:
        while (item := await self._next()) is not None:
            if isinstance(item, Message):
                yield batch_of(item, self._items, self._inbox, max_size)
            else:
                self._report_unheard(item)

    def _report_unheard(self, event: Event) -> None:
        if self._on_event is None:
            self._report_undecodable(event)

    async def events(self) -> AsyncIterator[Message | Event]:
        """Messages and events, in order. Takes them from the same queue as the plain iteration."""
        while True:
            item = await self._next()
            if item is None:
                return
            yield item


class AsyncHandlerSubscription(PulledSubscription):
    """Awaits its handler, or its on_event, for one message or event after the other."""

    def __init__(
        self,
        bus: Bus,
        name: str | bytes,
        is_pattern: bool,
        on_event: OnEvent | None,
        inbox: _native.Inbox,
        handler: Handler | AsyncHandler,
    ) -> None:
        super().__init__(bus, name, is_pattern, on_event, inbox)
        self._async_handler = handler

    async def run(self) -> None:
        try:
            while (item := await self._next()) is not None:
                if isinstance(item, Message):
                    await self._handle(item)
            while self._inbox is not None:  # on_event is to hear of the end
                await self._wait()
            if self._in_order is not None:
                await self._in_order.idle()
        except asyncio.CancelledError:
            self.close()
            raise

    async def _handle(self, message: Message) -> None:
        try:
            result = self._async_handler(message)
            if must_be_awaited(result):
                await result
        except Exception as error:
            self._report_handler(error, message)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._report_handler(error, message)  # something that the handler awaited was cancelled
