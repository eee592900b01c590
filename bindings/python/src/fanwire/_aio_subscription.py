"""A subscription with a plain function as its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ._events import Event
from ._handlers import CAUGHT
from ._native import Message
from ._subscription import BaseSubscription, OnEvent, again
from .errors import FanwireError, InvalidArgumentError, UnsubscribedError

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

    def __init__(
        self, bus: Bus, name: str | bytes, is_pattern: bool, on_event: OnEvent | None, handler: Handler | None
    ) -> None:
        super().__init__(name, is_pattern, on_event)
        self._bus = bus
        self._handler = handler
        self._confirmed = False
        self._failure: FanwireError | None = None
        self._ready_waiters: set[asyncio.Future[None]] = set()

    @property
    def ready(self) -> Ready:
        """Awaitable, also repeatedly: done when Redis has confirmed the subscription.

        Raises NoPermissionError or the like when Redis refuses it, UnsubscribedError or ClosedError when it ends
        before. A refused subscription is tried again; awaiting `ready` again tells of the last attempt known.
        """
        return Ready(self)

    def unsubscribe(self) -> None:
        super().unsubscribe()
        self._settle_ready(UnsubscribedError("the subscription was unsubscribed"))

    async def _wait_ready(self) -> None:
        self._bus._refuse_forked()
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
        """Calls on_event."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except CAUGHT as error:
            self._bus._report(error, f"on_event of {self!r} raised", subscription=self, event=event)

    # ---- Called by the bus; messages go to the handler directly

    def _deliver_event(self, event: Event) -> None:
        self._note(event)
        self._tell(event)

    def _report_coroutine(self, coroutine: CoroutineType[Any, Any, Any], message: Message) -> None:
        coroutine.close()
        self._report_handler(
            InvalidArgumentError("the handler returned a coroutine: give an async function instead"), message
        )

    def _report_handler(self, error: BaseException, message: Message) -> None:
        self._bus._report(error, f"the handler of {self!r} raised", subscription=self, received=message)

