"""What waits while a handler that nobody knew to be asynchronous is awaited.

Async handlers have an inbox of their own in the engine. A plain callable that returns a coroutine is found out when it is
called, and then its messages come from the inbox that all handlers share, which must not stop for one of them. So they
wait here, within the same limits and by the same rules as in an inbox.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from . import _native
from ._events import Event
from ._native import Message
from ._settings import size_of

# Events that wait in a row before they are folded: one gap with all that is missing, and the newest change of state.
_MAX_EVENTS = 64


class _Place:
    __slots__ = ("message", "replaced", "size")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.replaced = 0  # how many messages of the channel this one has taken the place of
        self.size = message_size(message)


class Backlog:
    """A bounded queue of messages and events. What does not fit is a gap event with the exact count in its place."""

    def __init__(self, count: int, size: int, overflow: str) -> None:
        self._count_max = count
        self._size_max = size
        self._overflow = overflow
        self._front: list[Event] = []  # what comes first: what has been pushed out there
        self._items: deque[_Place | Event] = deque()
        self._count = 0
        self._size = 0
        self._events = 0  # that stand at the end in a row
        self._newest: dict[bytes, _Place] = {}  # conflate: by channel, behind the last event

    def __bool__(self) -> bool:
        return bool(self._front or self._items)

    def add(self, item: Message | Event) -> None:
        if isinstance(item, Event):
            self._add_event(item)
        else:
            self._add_message(item)

    def take(self) -> Message | Event:
        """The first one. The backlog must not be empty."""
        if self._front:
            return self._front.pop(0)
        item = self._items[0]
        if isinstance(item, _Place) and item.replaced:
            replaced, item.replaced = item.replaced, 0
            return _gap(replaced)
        return self._pop()

    def clear_messages(self) -> None:
        """Leaves the events."""
        events = self._front + [item for item in self._items if isinstance(item, Event)]
        self._front, self._items, self._newest = events, deque(), {}
        self._count = self._size = self._events = 0

    def _pop(self) -> Message | Event:
        item = self._items.popleft()
        if isinstance(item, Event):
            self._events = min(self._events, len(self._items))
            return item
        self._count -= 1
        self._size -= item.size
        channel = item.message.channel_bytes
        if self._newest.get(channel) is item:
            del self._newest[channel]
        return item.message

    def _fits(self, size: int) -> bool:
        return self._count == 0 or (self._count < self._count_max and self._size + size <= self._size_max)

    def _add_message(self, message: Message) -> None:
        place = _Place(message)
        if not self._fits(place.size):
            if self._overflow == "drop_newest":
                self._append_gap(1)
                return
            if self._overflow == "conflate" and self._replace(place):
                return
            while not self._fits(place.size):
                self._push_out()
        self._items.append(place)
        self._events = 0
        self._count += 1
        self._size += place.size
        if self._overflow == "conflate":
            self._newest[message.channel_bytes] = place

    def _replace(self, place: _Place) -> bool:
        former = self._newest.get(place.message.channel_bytes)
        if former is None or self._size - former.size + place.size > self._size_max:
            return False
        self._size += place.size - former.size
        former.message, former.size = place.message, place.size
        former.replaced += 1
        return True

    def _push_out(self) -> None:
        item = self._items[0]
        missing = item.replaced + 1 if isinstance(item, _Place) else 0
        pushed = self._pop()
        self._front.append(pushed if isinstance(pushed, Event) else _gap(missing))
        if len(self._front) > 1 and _is_overflow(self._front[-1]) and _is_overflow(self._front[-2]):
            self._front[-2:] = folded(self._front[-2:])
        if len(self._front) > _MAX_EVENTS:
            self._front = folded(self._front)

    def _append_gap(self, missing: int) -> None:
        last = self._items[-1]
        if isinstance(last, Event) and _is_overflow(last):
            self._items[-1] = _gap((last.count or 0) + missing)
        else:
            self._add_event(_gap(missing))

    def _add_event(self, event: Event) -> None:
        self._newest.clear()
        self._items.append(event)
        self._events += 1
        if self._events > _MAX_EVENTS:
            tail = [self._items.pop() for _ in range(self._events)]
            events = folded(item for item in reversed(tail) if isinstance(item, Event))
            self._items.extend(events)
            self._events = len(events)


def limits_of(options: _native.Options) -> tuple[int, int, str]:
    """Those of a backlog, from the settings."""
    return int(options.get("inbox_count")), size_of(options, "inbox_bytes"), options.get("overflow")


def message_size(message: Message) -> int:
    return len(message.channel_bytes) + len(message.data)


def folded(events: Iterable[Event]) -> list[Event]:
    """One gap for all of them, and the newest change of state."""
    gap: Event | None = None
    state: Event | None = None
    for event in events:
        if event.kind == "undecodable":
            event = _gap(1)
        if event.kind != "gap":
            state = event
        elif gap is None:
            gap = event
        else:
            known = gap.count is not None and event.count is not None
            count = (gap.count or 0) + (event.count or 0) if known else None
            gap = Event("gap", reason=event.reason if _is_overflow(gap) else gap.reason, count=count)
    return [event for event in (gap, state) if event is not None]


def _gap(missing: int) -> Event:
    return Event("gap", reason="overflow", count=missing)


def _is_overflow(event: Event) -> bool:
    return event.kind == "gap" and event.reason == "overflow"
