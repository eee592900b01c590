"""The part of a layer that one event loop has."""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import fanwire

from ._engines import CLOSE_S
from ._hosts import index_of
from ._losses import Loss, Losses, log
from ._topics import NOTHING, Channel, Envelope, Group, Topic

if TYPE_CHECKING:
    from ._layer import FanwireChannelLayer

# Channels that nobody receives from any more, and that may be asked for again; and messages that each of them keeps.
_MAX_DORMANT = 1024
_MAX_DORMANT_ITEMS = 64


class LoopLayer:
    """The channels and groups of one event loop, over the light buses of that loop."""

    def __init__(self, channel_layer: FanwireChannelLayer, loop: asyncio.AbstractEventLoop) -> None:
        self.channel_layer = channel_layer
        self.prefix = channel_layer.prefix
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, Group] = {}  # by their names in Redis
        self.expiry: float = float("inf") if channel_layer.expiry is None else channel_layer.expiry
        self.sealed, self._unseal, self._parse = channel_layer._opening
        self._loop = loop
        self._buses: list[fanwire.Bus] = []
        self._generation = -1  # of the engines that these are of
        self._memberships: dict[tuple[str, str], float] = {}  # until when, the first to end first
        self._expiring: asyncio.TimerHandle | None = None
        self._dormant: dict[str, Channel] = {}  # the first to be forgotten first
        self._lost: set[str] = set()  # names in Redis of channels and groups
        self._is_away = False  # on_disconnect was called, and not yet on_reconnect
        self._tasks: set[asyncio.Future[Any]] = set()
        self.losses = Losses(loop, None if channel_layer.on_loss is None else self._report_loss)

    # ---- Publishing

    def publish(self, name: str, payload: bytes) -> Awaitable[int]:
        return self._bus(name).publish(name, payload)

    def is_outdated(self) -> bool:
        """Whether its engines have been closed, by a flush() in another loop, which found nobody here to wait for."""
        return self._generation != self.channel_layer._engines.generation

    def _bus(self, name: str) -> fanwire.Bus:
        engines = self.channel_layer._engines
        if self._generation != engines.generation:
            generation = engines.generation
            for bus in self._buses:  # of engines that are closed
                self._start(self._close_bus(bus))
            self._buses = [engine.bus() for engine in engines.get()]
            self._generation = generation
        return self._buses[0 if len(self._buses) == 1 else index_of(name, len(self._buses))]

    # ---- Channels

    async def new_channel(self, prefix: str) -> str:
        name = f"{self.prefix}{prefix}{uuid.uuid4().hex}"
        channel = self._make_channel(name)
        try:
            await self._confirm(channel)
        except BaseException:
            self._forget(channel)
            raise
        return name

    async def receive(self, name: str) -> Any:
        channel = self.channels.get(name)
        if channel is None:
            channel = self._revive(name)
        channel.receivers += 1
        try:
            if not channel.confirmed:
                await self._confirm_all(channel)
            while (message := channel.take()) is NOTHING:
                await self._wait(channel)
            return message
        except BaseException:
            if channel.receivers == 1:
                self._forget(channel)
            elif channel.items or channel.notices:
                channel.wake()  # it may have been this one that was woken
            raise
        finally:
            channel.receivers -= 1

    async def _wait(self, channel: Channel) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        channel.waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter in channel.waiters:
                channel.waiters.remove(waiter)
            raise

    def _make_channel(self, name: str) -> Channel:
        channel = Channel(self, name, self.channel_layer.get_capacity(name))
        with self.channel_layer._engines.lock:
            channel.subscription = self._bus(name).subscribe(name, channel.on_message, on_event=channel.on_event)
            self.channels[name] = self.channel_layer._channels[name] = channel
        return channel

    def _forget(self, channel: Channel) -> None:
        """Nobody receives from it any more, as far as can be seen. Should somebody do so again, it is as it was."""
        if self.channels.get(channel.name) is not channel:
            return
        del self.channels[channel.name]
        self._forget_name(channel)
        channel.group_names = list(channel.groups)
        for group in list(channel.groups.values()):
            self._leave(group, channel)
        self._end(channel)
        while len(channel.items) > _MAX_DORMANT_ITEMS:
            channel.items.popleft()
            channel.not_kept += 1
        if channel.group_names or channel.items or channel.is_abandoned:
            self._dormant.pop(channel.name, None)
            self._dormant[channel.name] = channel
            if len(self._dormant) > _MAX_DORMANT:
                del self._dormant[next(iter(self._dormant))]

    def _forget_name(self, channel: Channel) -> None:
        if self.channel_layer._channels.get(channel.name) is channel:  # and not one of another loop
            self.channel_layer._channels.pop(channel.name, None)

    def abandon(self, channel: Channel) -> None:
        """Nobody has received from it for as long as messages may wait: Channels leaves one behind when a consumer ends
        with a message in hand. Whoever was only busy takes it up again.
        """
        self._loop.call_soon(self._forget_idle, channel)

    def _forget_idle(self, channel: Channel) -> None:
        if not channel.receivers:
            channel.is_abandoned = True
            self._forget(channel)

    def _revive(self, name: str) -> Channel:
        """A channel of this name, with what it had when it was forgotten."""
        channel = self._make_channel(name)
        former = self._dormant.pop(name, None)
        if former is None:
            return channel
        channel.items = former.items
        if former.is_abandoned:
            self.losses.note("expired", name, None, None)  # and what came since
        if former.not_kept:
            self.losses.note("full", name, None, former.not_kept)
        try:
            for group_name in former.group_names:
                self._join(group_name, group_name.removeprefix(self._group_name("")), channel)
        except BaseException:
            self._forget(channel)
            raise
        return channel

    # ---- Groups

    def _group_name(self, group: str) -> str:
        return f"{self.prefix}__group__{group}"

    async def group_add(self, group: str, name: str) -> None:
        channel = self.channels.get(name)
        if channel is None and name in self._dormant and self._dormant[name].is_abandoned:
            channel = self._revive(name)
        if channel is None:
            raise RuntimeError(
                "You can only call group_add() on channels that exist in-process.\n"
                "Consumers are encouraged to use the common pattern:\n"
                f"   self.channel_layer.group_add({group!r}, self.channel_name)"
            )
        group_name = self._group_name(group)
        was_member = group_name in channel.groups
        topic = self._join(group_name, group, channel)
        if topic.confirmed:
            return
        try:
            await self._confirm(topic)
        except fanwire.UnsubscribedError:  # the channel was taken out again meanwhile
            if topic.members.get(name) is channel:
                raise
        except BaseException:
            if not was_member and topic.members.get(name) is channel:
                self._leave(topic, channel)
            raise

    async def group_discard(self, group: str, name: str) -> None:
        group_name = self._group_name(group)
        topic = self.groups.get(group_name)
        channel = None if topic is None else topic.members.get(name)
        if topic is not None and channel is not None:
            self._leave(topic, channel)
        elif name in self._dormant:
            names = self._dormant[name].group_names
            if group_name in names:
                names.remove(group_name)

    def _join(self, group_name: str, group: str, channel: Channel) -> Group:
        topic = self.groups.get(group_name)
        if topic is None:
            topic = Group(self, group_name, group)
            bus = self._bus(group_name)
            topic.subscription = bus.subscribe(group_name, topic.on_message, on_event=topic.on_event)
            self.groups[group_name] = topic
        topic.members[channel.name] = channel
        channel.groups[group_name] = topic
        group_expiry = self.channel_layer.group_expiry
        if group_expiry is not None:
            key = group_name, channel.name
            self._memberships.pop(key, None)  # goes to the end
            self._memberships[key] = time.monotonic() + group_expiry
            if self._expiring is None:
                self._expiring = self._loop.call_later(group_expiry, self._expire)
        return topic

    def _leave(self, topic: Group, channel: Channel) -> None:
        topic.members.pop(channel.name, None)
        channel.groups.pop(topic.name, None)
        self._memberships.pop((topic.name, channel.name), None)
        if not topic.members and self.groups.get(topic.name) is topic:
            del self.groups[topic.name]
            self._end(topic)

    def _expire(self) -> None:
        """Ends the memberships that are older than group_expiry."""
        self._expiring = None
        while self._memberships:
            group_name, name = key = next(iter(self._memberships))
            left = self._memberships[key] - time.monotonic()
            if left > 0:
                self._expiring = self._loop.call_later(left, self._expire)
                return
            del self._memberships[key]
            topic = self.groups.get(group_name)
            channel = None if topic is None else topic.members.get(name)
            if topic is not None and channel is not None:
                self._leave(topic, channel)
                self.losses.note("group_expired", name, topic.group, None)

    # ---- Subscriptions

    async def _confirm(self, topic: Topic) -> None:
        """Waits until Redis has confirmed it. Raises what Redis says to it, or TimeoutError."""
        if topic.confirmed:
            return
        error = topic.failure
        if error is None:
            waiter: asyncio.Future[fanwire.FanwireError | None] = self._loop.create_future()
            topic.unconfirmed.append(waiter)
            timer = self._loop.call_later(self.channel_layer._confirm_s, self._give_up, topic, waiter)
            try:
                error = await waiter
            finally:
                timer.cancel()
                if waiter in topic.unconfirmed:
                    topic.unconfirmed.remove(waiter)
        if error is not None:
            raise copy.copy(error)  # there may be several that wait

    def _give_up(self, topic: Topic, waiter: asyncio.Future[fanwire.FanwireError | None]) -> None:
        health = self._bus(topic.name).health()
        why = f": {health.text}" if health.text else ""
        text = f"{topic.name!r} could not be subscribed within {self.channel_layer._confirm_s:g} s{why}"
        if not waiter.done():
            waiter.set_result(fanwire.TimeoutError(text))

    async def _confirm_all(self, channel: Channel) -> None:
        await self._confirm(channel)
        for group in list(channel.groups.values()):
            await self._confirm(group)

    def _end(self, topic: Topic) -> None:
        if topic.unconfirmed and not self._loop.is_closed():
            topic.settle(fanwire.UnsubscribedError(f"{topic.name!r} was left before Redis had confirmed it"))
        try:
            topic.subscription.close()
        except fanwire.WrongLoopError:  # whoever collects garbage runs elsewhere; it goes with its loop
            pass
        if topic.name in self._lost:
            self._lost.remove(topic.name)
            if all(bus.connected for bus in self._buses):  # the others are back
                self._note_return(fanwire.Event("resumed"))

    def on_event(self, topic: Topic, event: fanwire.Event, channel: str | None, group: str | None) -> None:
        kind = event.kind
        if kind == "gap":
            self.losses.note(event.reason or "reconnect", channel, group, event.count)
        elif kind == "lost":
            self._lost.add(topic.name)
            if not self._is_away:
                self._is_away = True
                self._notify("disconnect", self.channel_layer._disconnect_hearer, event)
        elif kind == "ended":
            topic.settle(event.error)
        else:
            if kind == "failed":
                self._note_failure(topic, event.error, channel, group)
            else:  # active or resumed
                topic.confirmed = True
                topic.failure = None
                topic.settle(None)
            self._lost.discard(topic.name)
            if self._is_away:
                self._note_return(event)

    def _note_return(self, event: fanwire.Event) -> None:
        if self._is_away and not self._lost:
            self._is_away = False
            self._notify("reconnect", self.channel_layer._reconnect_hearer, event)

    def _note_failure(
        self, topic: Topic, error: fanwire.FanwireError | None, channel: str | None, group: str | None
    ) -> None:
        if topic.confirmed:
            self.losses.note("refused", channel, group, None, error)
        else:
            topic.failure = error
            topic.settle(error)

    # ---- Reporting

    def open(self, envelope: Envelope) -> Any:
        """The message in it. Raises when there is none."""
        assert envelope.payload is not None
        if envelope.sealed:  # once for all channels
            envelope.payload = self._unseal(envelope.payload)
            envelope.sealed = False
        return self._parse(envelope.payload)

    def _notify(self, what: str, whom: str | Callable[[Any], object] | None, event: fanwire.Event) -> None:
        if isinstance(whom, str):
            for channel in list(self.channels.values()):
                channel.notify(whom, {"type": whom})
        elif whom is not None:
            self._call(whom, event, f"on_{what}")

    def _report_loss(self, loss: Loss) -> None:
        whom = self.channel_layer._loss_hearer
        if not isinstance(whom, str):
            if whom is not None:
                self._call(whom, loss, "on_loss")
            return
        if loss.channel is not None:
            channel = self.channels.get(loss.channel)
            channels = [] if channel is None else [channel]
        else:
            group = self.groups.get(self._group_name(loss.group or ""))
            channels = [] if group is None else list(group.members.values())
        for channel in channels:
            message = {"type": whom, "reason": loss.reason, "group": loss.group, "count": loss.count}
            channel.notify((whom, loss.reason, loss.group), message)

    def _call(self, function: Callable[[Any], object], argument: object, what: str) -> None:
        try:
            result = function(argument)
            if not asyncio.iscoroutine(result):
                return
            if self._loop.is_running():
                self._start(self._await(result, what))
            else:  # it is being closed
                result.close()
                log.warning("%s of a channel layer could not be awaited, its event loop has ended: %s", what, argument)
        except Exception:
            log.exception("%s of a channel layer raised", what)

    async def _await(self, result: Any, what: str) -> None:
        try:
            await result
        except Exception:
            log.exception("%s of a channel layer raised", what)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- The end

    def shut(self) -> None:
        """Forgets all channels and groups. Needs no event loop: that of its own may be closed."""
        topics: list[Topic] = [*self.channels.values(), *self.groups.values()]
        for channel in self.channels.values():
            self._forget_name(channel)
        self.channels = {}
        self.groups = {}
        self._memberships = {}
        self._dormant = {}
        if self._expiring is not None:
            self._expiring.cancel()
            self._expiring = None
        self._lost.clear()
        self._is_away = False
        for topic in topics:
            self._end(topic)
        self.losses.close()

    async def flush(self) -> None:
        """The same, and gives its buses back."""
        self.shut()
        buses, self._buses, self._generation = self._buses, [], -1
        for bus in buses:
            await self._close_bus(bus)

    async def _close_bus(self, bus: fanwire.Bus) -> None:
        try:
            await bus.close(CLOSE_S)
        except fanwire.FanwireError:  # whoever awaits a publish hears of it
            pass
