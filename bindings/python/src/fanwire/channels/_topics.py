"""What a layer subscribes to in one event loop: the channels of its consumers, and their groups."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import fanwire

if TYPE_CHECKING:
    from ._loop_layer import LoopLayer

NOTHING = object()


class Topic:
    """A subscription of the layer's."""

    __slots__ = ("confirmed", "failure", "layer", "name", "subscription", "unconfirmed")

    def __init__(self, layer: LoopLayer, name: str) -> None:
        self.layer = layer
        self.name = name  # in Redis
        self.subscription: fanwire.Subscription
        self.confirmed = False
        self.failure: fanwire.FanwireError | None = None
        self.unconfirmed: list[asyncio.Future[fanwire.FanwireError | None]] = []  # of those that wait for Redis

    def settle(self, error: fanwire.FanwireError | None) -> None:
        """Says to those that wait what has become of it. A result, since nobody may look at it any more."""
        waiters, self.unconfirmed = self.unconfirmed, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(error)


class Envelope:
    """A payload on its way to channels, of which each makes a message of its own."""

    __slots__ = ("deadline", "group", "payload", "sealed")

    def __init__(self, payload: bytes, deadline: float, sealed: bool, group: str | None) -> None:
        self.payload: bytes | None = payload  # None: there is no message in it
        self.deadline = deadline
        self.sealed = sealed  # still encrypted
        self.group = group


class Channel(Topic):
    """The messages for one consumer, and whoever waits for them."""

    def __init__(self, layer: LoopLayer, name: str, capacity: int) -> None:
        super().__init__(layer, name)
        self.capacity = capacity
        self.items: deque[Envelope] = deque()
        self.notices: dict[object, dict[str, Any]] = {}  # messages of the layer's own, which come first
        self.receivers = 0  # how many receive() there are
        self.waiters: deque[asyncio.Future[None]] = deque()  # of those that found nothing
        self.groups: dict[str, Group] = {}
        self.group_names: list[str] = []  # that it was in when it was forgotten
        self.not_kept = 0  # messages that it then had too many of
        self.is_abandoned = False  # forgotten because nobody received, and not because somebody stopped to
        self.under_way: deque[None] = deque()  # messages sent by this process, any thread, that have not come back

    # ---- Coming in

    def on_message(self, message: fanwire.Message) -> None:
        if self.under_way:
            self.note_arrival()
        layer = self.layer
        self.put(Envelope(message.data, time.monotonic() + layer.expiry, layer.sealed, None))

    def on_event(self, event: fanwire.Event) -> None:
        if event.kind in ("active", "gap", "lost"):
            self.under_way.clear()
        self.layer.on_event(self, event, self.name, None)

    def put(self, envelope: Envelope) -> None:
        if self.items:
            if not self.receivers and self.items[0].deadline < envelope.deadline - self.layer.expiry:
                self.layer.abandon(self)
            if len(self.items) >= self.capacity:
                self.drop_expired()
                if len(self.items) >= self.capacity:
                    self.layer.losses.note("full", self.name, envelope.group, 1)
                    return
        self.items.append(envelope)
        if self.waiters:
            self.wake()

    def notify(self, key: object, message: dict[str, Any]) -> None:
        """A message of the layer's own, unless one like it waits."""
        self.notices.setdefault(key, message)
        self.wake()

    def wake(self) -> None:
        """One of those that wait; the next one when somebody has cancelled it."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def is_full(self, is_ours: bool) -> bool:
        """Whether there is no room for one more message, those counted that are under way. Any thread may ask, and says
        whether it is the one of the channel's event loop.
        """
        if len(self.items) + len(self.under_way) < self.capacity:
            return False
        if is_ours:
            self.drop_expired()
        return len(self.items) + len(self.under_way) >= self.capacity

    def note_arrival(self) -> None:
        """Of one that was under way, or never will be."""
        try:
            self.under_way.pop()
        except IndexError:
            pass

    # ---- Going out

    def take(self) -> Any:
        """The next message, or NOTHING."""
        if self.notices:
            return self.notices.pop(next(iter(self.notices)))
        while self.items:
            envelope = self.items.popleft()
            if envelope.deadline < time.monotonic():
                self.layer.losses.note("expired", self.name, envelope.group, 1)
            elif envelope.payload is not None:
                try:
                    return self.layer.open(envelope)
                except Exception as error:
                    envelope.payload = None
                    self.layer.losses.note("undecodable", self.name, envelope.group, 1, error)
        return NOTHING

    def drop_expired(self) -> None:
        now = time.monotonic()
        while self.items and self.items[0].deadline < now:
            self.layer.losses.note("expired", self.name, self.items.popleft().group, 1)


class Group(Topic):
    """The channels in a group, with one subscription for all of them."""

    def __init__(self, layer: LoopLayer, name: str, group: str) -> None:
        super().__init__(layer, name)
        self.group = group
        self.members: dict[str, Channel] = {}  # by their names

    def on_message(self, message: fanwire.Message) -> None:
        layer = self.layer
        envelope = Envelope(message.data, time.monotonic() + layer.expiry, layer.sealed, self.group)
        for channel in self.members.values():
            channel.put(envelope)

    def on_event(self, event: fanwire.Event) -> None:
        self.layer.on_event(self, event, None, self.group)

    # As the set of names that it was

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)
