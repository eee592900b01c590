"""The thread that calls the handlers of a Client."""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable
from typing import Any

from . import _native
from ._events import Event, to_event
from ._native import Message

_CAPACITY = 512

log = logging.getLogger("fanwire")


class Dispatcher:
    """An inbox, and a thread that drains it.

    The thread does not keep its client alive, and has no native frame on its stack while it waits or a handler runs: so
    it can be left behind when the interpreter ends.
    """

    def __init__(self, options: _native.Options, on_engine_event: Callable[[Event], object] | None) -> None:
        self._on_engine_event = on_engine_event
        self._waker = _native.Waker()
        self.inbox = _native.Inbox(options, _CAPACITY, self._waker)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="fanwire-dispatcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float | None) -> bool:
        """Lets the thread deliver what waits and end; whether it did so in time."""
        self._stopping = True
        self._waker.ring()
        if not self._thread.is_alive() or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._waker.fileno(), select.POLLIN)
        while True:
            last = self._stopping  # before the drain: what was there when it was set will be delivered
            if self._deliver_batch() == _CAPACITY:
                continue
            if last:
                return
            poll.poll()
            self._waker.take()

    def _deliver_batch(self) -> int:
        batch = self.inbox.drain(_CAPACITY)
        for target, item in batch:
            try:
                self._deliver(target, item)
            except BaseException:  # this thread is nobody's to interrupt or exit
                what = "on_event" if target is None else repr(target)
                log.exception("a handler of %s raised; delivery goes on", what)
        return len(batch)

    def _deliver(self, target: Any, item: Any) -> None:
        if type(item) is Message:
            target._deliver(item)
        elif target is not None:
            target._deliver_event(to_event(item))
        elif self._on_engine_event is not None:
            self._on_engine_event(to_event(item))
