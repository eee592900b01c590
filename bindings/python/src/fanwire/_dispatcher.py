"""The thread that calls the handlers of a Client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _native
from ._codecs import Coding
from ._events import Event, to_event
from ._green import is_green, wait_readable
from ._handlers import drop_awaitable
from ._log import log
from ._native import Message

if TYPE_CHECKING:
    from ._client_subscription import ClientSubscription

_CAPACITY = 512
_TURN_S = 0.1


class Dispatcher:
    """An inbox, and a thread that drains it.

    The thread does not keep its client alive, and has no native frame on its stack while it waits, nor one that needs
    cleaning up while a handler runs: so it can be left behind when the interpreter ends.
    """

    def __init__(
        self, options: _native.Options, coding: Coding, on_engine_event: Callable[[Event], object] | None
    ) -> None:
        self._on_engine_event = on_engine_event
        self._waker = _native.Waker()
        self.inbox = _native.Inbox(options, _CAPACITY, self._waker, decode=coding.decode)
        self._stopping = False
        self._green = is_green()
        self._thread = threading.Thread(target=self._run, name="fanwire-dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float | None) -> bool:
        """Lets the thread deliver what waits and end; whether it did so in time."""
        self._stopping = True
        self._waker.ring()
        if not self._thread.is_alive() or self._thread is threading.current_thread():
            return True
        if self._green and timeout is not None:
            timeout = max(timeout, _TURN_S)  # a greenlet ends only if it has its turn
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def is_dead(self) -> bool:
        """Whether its thread has ended, or was never started, though nobody stopped it: nothing is delivered any more."""
        return not self._stopping and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._deliver()
        except BaseException as error:
            log.critical("the thread that calls the handlers has ended; nothing is delivered any more", exc_info=error)

    def _deliver(self) -> None:
        while True:
            last = self._stopping  # before the drain: what was there when it was set will be delivered
            if _native.deliver(self.inbox, self._on_event, self._on_trouble, True):
                if self._green:
                    time.sleep(0)  # others have their turn
                continue
            if last:
                return
            wait_readable(self._waker.fileno(), None)
            self._waker.take()

    def _on_event(self, subscription: ClientSubscription | None, event: Any) -> None:
        try:
            if subscription is not None:
                subscription._deliver_event(to_event(event))
            elif self._on_engine_event is not None:
                error = drop_awaitable(self._on_engine_event(to_event(event)))
                if error is not None:
                    raise error
        except BaseException as error:  # this thread is nobody's to interrupt or exit
            _log("on_event" if subscription is None else repr(subscription), error)

    def _on_trouble(
        self, subscription: ClientSubscription, message: Message, error: BaseException | None, awaitable: object
    ) -> None:
        error = error or drop_awaitable(awaitable)
        if error is not None:
            _log(repr(subscription), error)


def _log(what: str, error: BaseException) -> None:
    log.error("a handler of %s raised; delivery goes on", what, exc_info=error)
