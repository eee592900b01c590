"""A subscription with a plain function as its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._backlog import Backlog, limits_of
from ._events import Event
from ._handlers import CAUGHT, must_be_awaited
from ._in_order import InOrder
from ._native import Message
from ._subscription import BaseSubscription, OnEvent, again
from .errors import FanwireError, UnsubscribedError

if TYPE_CHECKING:
    from .aio import Bus

Handler = Callable[[Message], object]


class Ready:
    """May be awaited any number of times."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def __await__(self) -> Generator[Any, None, None]:
        return self._subscription._wait_ready().__await__()


class Subscription(BaseSubscription):
    """A wish for one channel or pattern. Its messages go to its handler."""

    _reports_undecodable = True  # when there is no on_event

    def __init__(
        self, bus: Bus, name: str | bytes, is_pattern: bool, on_event: OnEvent | None, handler: Handler | None
    ) -> None:
        super().__init__(name, is_pattern, on_event)
        self._bus = bus
        self._handler = handler
        self._confirmed = False
        self._failure: FanwireError | None = None
        self._ready_waiters: set[asyncio.Future[None]] = set()
        self._in_order: InOrder[Message | Event] | None = None  # once the handler or on_event had to be awaited
        self._waiting: Backlog | None = None  # of it

    @property
    def ready(self) -> Ready:
        """Awaitable, also repeatedly: done when Redis has confirmed the subscription.

        Raises NoPermissionError or the like when Redis refuses it, UnsubscribedError or ClosedError when it ends
        before. A refused subscription is tried again; awaiting `ready` again tells of the last attempt known.
        """
        return Ready(self)

    def unsubscribe(self) -> None:
        if not self._bus._loop.is_closed():
            self._bus._check_use()
        super().unsubscribe()
        if self._waiting is not None:
            self._waiting.clear_messages()  # on_event is to hear of the rest
        self._settle_ready(UnsubscribedError("the subscription was unsubscribed"))

    async def aclose(self) -> None:
        """As close(), for contextlib.aclosing()."""
        self.close()

    async def __aenter__(self) -> Self:
        """Waits until it is ready."""
        try:
            await self.ready
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def _wait_ready(self) -> None:
        self._bus._check_use()
        if self._stopped:
            raise UnsubscribedError("the subscription was unsubscribed")
        error = self._ended or self._failure
        if error is not None:
            raise again(error)
        if self._confirmed:
            return
        waiter = self._bus._make_waiter()
        self._ready_waiters.add(waiter)
        try:
            await waiter
        finally:
            self._ready_waiters.discard(waiter)

    def _settle_ready(self, error: FanwireError | None) -> None:
        for waiter in self._ready_waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(again(error))

    def _note(self, event: Event) -> None:
        """Keeps up with what has become of it."""
        self._note_end(event)
        if event.kind in ("active", "resumed"):
            self._confirmed = True
            self._failure = None
            self._settle_ready(None)
        elif event.kind == "failed":
            self._failure = event.error
            self._settle_ready(event.error)
        elif event.kind == "ended":
            self._settle_ready(event.error)

    def _tell(self, event: Event) -> None:
        """Calls on_event, in its turn."""
        if self._on_event is None:
            if self._reports_undecodable:
                self._report_undecodable(event)
            return
        if self._in_order is not None:
            self._in_order.put(event)
            return
        awaitable = self._call_on_event(event)
        if awaitable is not None:
            self._await_from_now_on(awaitable, event)

    def _report_undecodable(self, event: Event) -> None:
        """Of an event that nobody hears of: messages do not disappear in silence."""
        if event.kind == "undecodable" and event.error is not None:
            text = f"a message for {self!r} is left out"
            self._bus._report(event.error, text, subscription=self, received=event.message)

    def _call_on_event(self, event: Event) -> Awaitable[object] | None:
        if self._on_event is None:
            return None
        try:
            result = self._on_event(event)
        except CAUGHT as error:
            self._report(error, event)
            return None
        return result if must_be_awaited(result) else None

    # ---- Called by the bus; messages go to the handler directly

    def _deliver_event(self, event: Event) -> None:
        self._note(event)
        self._tell(event)

    def _await_from_now_on(self, awaitable: Awaitable[object], item: Message | Event) -> None:
        """The handler, or on_event, has returned something to be awaited: what comes next has to wait."""
        assert self._in_order is None
        handler = self._handler

        def call(item: Message | Event) -> Awaitable[object] | None:
            if isinstance(item, Event):
                return self._call_on_event(item)
            if handler is None or self._stopped:
                return None
            try:
                result = handler(item)
            except CAUGHT as error:
                self._report(error, item)
                return None
            return result if must_be_awaited(result) else None

        self._waiting = Backlog(*limits_of(self._bus._options))
        self._in_order = InOrder(self._bus, repr(self), self._waiting, call, self._report, self._cancelled)
        if handler is not None:
            self._handler = self._in_order.put
        self._in_order.start(awaitable, item)

    def _cancelled(self) -> None:
        """Somebody has cancelled the task that awaits the handler."""
        self.close()

    def _report(self, error: BaseException, item: Message | Event) -> None:
        if isinstance(item, Event):
            self._bus._report(error, f"on_event of {self!r} raised", subscription=self, event=item)
        else:
            self._report_handler(error, item)

    def _report_handler(self, error: BaseException, message: Message) -> None:
        self._bus._report(error, f"the handler of {self!r} raised", subscription=self, received=message)
