"""The on_event of a bus."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ._events import Event
from ._handlers import CAUGHT, must_be_awaited
from ._in_order import InOrder
from ._subscription import OnEvent

if TYPE_CHECKING:
    from .aio import Bus

# Events that wait while on_event is awaited; what comes beyond is not kept, as in the engine itself.
_MAX_WAITING = 1024


class _Waiting:
    def __init__(self) -> None:
        self._events: deque[Event] = deque()

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, event: Event) -> None:
        if len(self._events) < _MAX_WAITING:
            self._events.append(event)

    def take(self) -> Event:
        return self._events.popleft()


class EngineEvents:
    """Calls on_event with one event of the connection after the other, and awaits what is to be awaited."""

    def __init__(self, bus: Bus, on_event: OnEvent) -> None:
        self._bus = bus
        self._on_event: OnEvent | None = on_event
        name = "on_event of a bus"
        self._in_order = InOrder(bus, name, _Waiting(), self._call, self._report, self._cancelled)

    def tell(self, event: Event) -> None:
        self._in_order.put(event)

    def _call(self, event: Event) -> Awaitable[object] | None:
        if self._on_event is None:
            return None
        try:
            result = self._on_event(event)
        except CAUGHT as error:
            self._report(error, event)
            return None
        return result if must_be_awaited(result) else None

    def _report(self, error: BaseException, event: Event) -> None:
        self._bus._report(error, f"on_event of {self._bus!r} raised", event=event)

    def _cancelled(self) -> None:
        """Somebody cancelled the task: on_event is not called any more."""
        self._on_event = None
