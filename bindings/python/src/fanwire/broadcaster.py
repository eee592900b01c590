"""fanwire under `broadcaster`: a backend for Broadcast.

    import fanwire.broadcaster  # makes fanwire:// known
    from broadcaster import Broadcast

    broadcast = Broadcast("fanwire://127.0.0.1:6379")

or Broadcast(backend=FanwireBackend(...)). What goes over Redis is what broadcaster's own backend for redis:// sends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import Bus, Engine, Event, FanwireError, Message, Subscription, UnsubscribedError, aio, effective_settings
from ._faces import face_settings, log, missing, refuse_settings, settings_of_client
from ._setting_types import NonUrlSettings

try:
    import broadcaster
except ImportError as error:
    raise ImportError(missing("fanwire.broadcaster", "broadcaster")) from error

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["FanwireBackend", "RedisBackend"]

_CLOSE_S = 5.0  # longest that disconnecting waits for what is still to be sent
# What fanwire:// and fanwires:// are in the engine's words. fanwire+unix:// and the like are what stands behind the +.
_SCHEMES = {"fanwire": "redis", "fanwires": "rediss"}


class FanwireBackend(broadcaster.BroadcastBackend):
    """A backend for `Broadcast(backend=...)`.

    The URL is one of fanwire.open(), or the same with fanwire:// for redis://, fanwires:// for rediss:// and
    fanwire+unix:// for unix://; settings are keyword arguments. Instead of a URL `conn` may be a Bus or an Engine,
    which stays open, or a client of redis.asyncio, which is asked where its server is and not used otherwise.
    There is no namespace unless it is set. Events of broadcaster are text, so a payload that is not UTF-8 is left out,
    with a line in the log "fanwire", as are messages that were lost.
    """

    def __init__(
        self, url: str | None = None, *, conn: Bus | Engine | Redis | None = None, **settings: Unpack[NonUrlSettings]
    ) -> None:
        assert url is not None or conn is not None, "conn must be provided if url is not"
        self._given = conn if url is None and isinstance(conn, (Bus, Engine)) else None
        if url is not None:
            url = _to_engine_url(url)
        elif self._given is None:
            settings = settings_of_client(conn) | settings
        else:
            refuse_settings(settings, conn)
        self._url = url
        self._settings = face_settings(url, settings)
        # Raises what is wrong with them.
        limit = int(effective_settings(url, **self._settings)["inbox_count"])
        self._bus: Bus | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._events: asyncio.Queue[broadcaster.Event] = asyncio.Queue(limit)
        self._dropped = 0

    async def __aenter__(self) -> Self:
        """As connect(), for whoever uses it without a Broadcast."""
        await self.connect()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.disconnect()

    async def connect(self) -> None:
        """Raises when the first attempt to connect fails (ConnectFailedError, AuthFailedError, ...)."""
        bus = self._use()
        try:
            await bus.opened
        except BaseException:
            await self.disconnect()
            raise

    async def disconnect(self) -> None:
        """What was published is sent first. Afterwards connect() opens it again."""
        bus, self._bus = self._bus, None
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            subscription.close()
        while not self._events.empty():
            self._events.get_nowait()
        if bus is not None and self._given is None:
            with suppress(FanwireError):  # what could not be sent, as each publish() raises
                await bus.close(_CLOSE_S if bus.connected else 0)

    async def subscribe(self, channel: str) -> None:
        """Returns when Redis has confirmed it, which waits for a Redis that is away."""
        while True:
            subscription = self._subscriptions.get(channel)
            if subscription is None:
                subscription = self._use().subscribe(channel, self._on_message, on_event=self._on_event)
                self._subscriptions[channel] = subscription
            try:
                await subscription.ready
                return
            except BaseException as error:
                if self._subscriptions.get(channel) is subscription:
                    del self._subscriptions[channel]
                    subscription.close()
                elif self._bus is not None and isinstance(error, UnsubscribedError):
                    continue  # another task that waited for it was cancelled
                raise

    async def unsubscribe(self, channel: str) -> None:
        """Returns at once. A channel that is not subscribed is no error."""
        subscription = self._subscriptions.pop(channel, None)
        if subscription is not None:
            subscription.close()

    async def publish(self, channel: str, message: Any) -> None:
        """Returns when Redis has it; while Redis is away waits for it, up to the setting publish_timeout_ms."""
        await (self._bus or self._use()).publish(channel, message)

    async def next_published(self) -> broadcaster.Event:
        """Waits for the next message of any channel. Cancelling it loses none."""
        return await self._events.get()

    def _use(self) -> Bus:
        if self._bus is None:
            if isinstance(self._given, Engine):
                self._bus = self._given.bus()
            else:
                self._bus = self._given or aio.open(self._url, **self._settings)
        return self._bus

    def _on_message(self, message: Message) -> None:
        try:
            event = broadcaster.Event(message.channel, message.text)
        except UnicodeDecodeError as error:
            log.warning("a message of %r is left out, as broadcaster has text alone: %s", message.channel, error)
            return
        if self._events.full():
            self._drop_oldest()
        self._events.put_nowait(event)

    def _drop_oldest(self) -> None:
        """Nobody asks for what is published: the first is reported, and every thousandth."""
        event = self._events.get_nowait()
        if self._dropped % 1000 == 0:
            log.warning(
                "nobody takes what is published, and inbox_count (%d) messages wait: one of the channel %r is left "
                "out, %d so far", self._events.maxsize, event.channel, self._dropped + 1,
            )
        self._dropped += 1

    def _on_event(self, event: Event) -> None:
        if event.kind == "gap":
            log.warning("%s messages for broadcaster were lost (%s)", event.count or "some", event.reason)


RedisBackend = FanwireBackend
"""The name of broadcaster's own."""


def _to_engine_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    return _SCHEMES.get(scheme, scheme.removeprefix("fanwire+")) + separator + rest


def _register() -> None:
    """broadcaster has no list of backends to be added to: its Broadcast is asked before it looks at the URL itself."""
    create_other = broadcaster.Broadcast._create_backend

    def create_backend(self: broadcaster.Broadcast, url: str) -> broadcaster.BroadcastBackend:
        scheme = url.partition("://")[0].lower()
        if scheme in _SCHEMES or scheme.startswith("fanwire+"):
            return FanwireBackend(url)
        return create_other(self, url)

    broadcaster.Broadcast._create_backend = create_backend  # type: ignore[method-assign]


_register()
