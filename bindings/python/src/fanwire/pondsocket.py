"""fanwire under PondSocket for Python: the pub/sub by which its nodes share channels.

    from pondsocket import PondSocket
    from fanwire.pondsocket import FanwirePubSub

    pond = PondSocket(pubsub=FanwirePubSub("redis://127.0.0.1:6379"))

What goes over Redis is what pondsocket.distributed.RedisPubSub sends. Patterns are topics, or end with `.*`:
`pondsocket:api:chat:.*` is for all topics that begin with `pondsocket:api:chat:`. PondError and PubSubClosedError are
PondSocket's own where it is installed; the module works without it as well.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self, Unpack

from . import Bus, Engine, Event, FanwireError, Stream, UnsubscribedError, aio, effective_settings
from ._faces import face_settings, log, refuse_settings, settings_of_client
from ._pond import prefix_of
from ._setting_types import NonUrlSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from ._pond import PondError, PubSub, PubSubClosedError, PubSubHandler, match_topic
else:
    try:
        from pondsocket.errors import PondError
        from pondsocket.pubsub import PubSub, PubSubClosedError, PubSubHandler, match_topic
    except ImportError:
        from ._pond import PondError, PubSub, PubSubClosedError, PubSubHandler, match_topic

__all__ = ["FanwirePubSub", "PondError", "PubSub", "PubSubClosedError", "PubSubHandler", "RedisPubSub", "match_topic"]

_NOT_FOUND = 404
_REPORT_EVERY = 100  # of the messages that were lost in an outage
_CLOSE_S = 5.0  # longest that closing waits for what is still to be sent
_ESCAPES = str.maketrans({character: f"\\{character}" for character in "*?[\\"})


class FanwirePubSub:
    """A pub/sub for `PondSocket(pubsub=...)`.

    Takes the URL of fanwire.open(), or a Bus, an Engine or a client of redis.asyncio, which is asked where its server is
    and not used otherwise; close() closes these only with owns_client=True. Settings are keyword arguments. There is no
    namespace unless it is set. Nothing is opened before the first use.

    Each subscription has a task of its own that awaits its handler for one message after the other, so a handler may wait
    for what comes to another one. What handlers raise is logged ("fanwire"), as are messages that were lost.
    """

    def __init__(
        self,
        client: str | Bus | Engine | Redis | None = None,
        *,
        owns_client: bool = False,
        **settings: Unpack[NonUrlSettings],
    ) -> None:
        self._client = client
        self._url = client if isinstance(client, str) else None
        self._owns_client = owns_client
        if isinstance(client, (Bus, Engine)):
            refuse_settings(settings, client)
        elif client is not None and not isinstance(client, str):
            settings = settings_of_client(client) | settings
        self._settings = face_settings(self._url, settings)
        effective_settings(self._url, **self._settings)  # raises what is wrong with them
        self._bus: Bus | None = None
        self._closed = False
        self._subscriptions: dict[str, list[tuple[PubSubHandler, Stream]]] = {}
        self._running: set[asyncio.Task[None]] = set()  # tasks that await handlers
        self._sending: set[asyncio.Future[int]] = set()  # what waits for Redis
        self._lost = 0  # of these

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def subscribe(self, pattern: str, handler: PubSubHandler) -> None:
        """Has the handler awaited with topic and payload of each message. Returns when Redis has confirmed it.

        While Redis is away it returns at once, and the pattern is subscribed as soon as Redis is back. A pattern may have
        several handlers, as when nodes of one process share the pub/sub; the same one twice is a PondError.
        """
        bus = self._use()
        if any(handler == other for other, _ in self._subscriptions.get(pattern, ())):
            raise PondError("pattern already subscribed", _NOT_FOUND, channel_name="pubsub")
        prefix = prefix_of(pattern)
        if prefix is None:
            stream = bus.subscribe(pattern, on_event=_on_event)
        else:
            stream = bus.psubscribe(prefix.translate(_ESCAPES) + "*", on_event=_on_event)
        others = self._subscriptions.setdefault(pattern, [])
        others.append((handler, stream))
        task = asyncio.create_task(_run(stream, handler), name=f"fanwire {pattern!r} of PondSocket")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            if await self._is_connected(bus):
                await stream.ready
        except BaseException as error:
            stream.close()
            if (handler, stream) in others:
                others.remove((handler, stream))
            if not others and self._subscriptions.get(pattern) is others:
                del self._subscriptions[pattern]
            if isinstance(error, FanwireError):
                self._check()
            if not isinstance(error, UnsubscribedError):  # else by an unsubscribe() meanwhile
                raise

    async def unsubscribe(self, pattern: str) -> None:
        """Ends all subscriptions of the pattern; a handler that runs is not interrupted."""
        self._check()
        if pattern not in self._subscriptions:
            raise PondError("pattern not found", _NOT_FOUND, channel_name="pubsub")
        for _, stream in self._subscriptions.pop(pattern):
            stream.close()

    async def publish(self, topic: str, data: bytes) -> None:
        """Returns when Redis has it.

        While Redis is away it returns at once, and the message waits for up to publish_timeout_ms; the log has the
        first that could not be sent in that time, and every hundredth.
        """
        bus = self._use()
        try:
            if bus.connected or await self._is_connected(bus):
                await bus.publish(topic, data)
                return
        except FanwireError:
            self._check()
            raise
        sending = asyncio.ensure_future(bus.publish(topic, data))
        self._sending.add(sending)
        sending.add_done_callback(self._on_sent)

    async def close(self) -> None:
        """Ends all subscriptions, and handlers that still run, and disconnects. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        for subscriptions in self._subscriptions.values():
            for _, stream in subscriptions:
                stream.close()
        self._subscriptions.clear()
        running = self._running - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._disconnect()

    async def _disconnect(self) -> None:
        bus, client = self._bus, self._client
        with suppress(FanwireError):  # what could not be sent, which is logged
            if bus is not None and bus is not client and not isinstance(client, Engine):
                await bus.close(_CLOSE_S if bus.connected else 0)
            if not self._owns_client or client is None or isinstance(client, str):
                return
            await (client.close() if isinstance(client, Bus) else client.aclose())

    async def _is_connected(self, bus: Bus) -> bool:
        """Also once the first attempt to connect has succeeded. Raises why it failed when trying again is of no use."""
        if bus.state == "connecting":
            try:
                await bus.opened
            except FanwireError as error:
                if not error.retryable:
                    raise
            self._check()
        return bus.connected

    def _check(self) -> None:
        if self._closed:
            raise PubSubClosedError()

    def _use(self) -> Bus:
        self._check()
        if self._bus is None:
            if isinstance(self._client, Bus):
                self._bus = self._client
            elif isinstance(self._client, Engine):
                self._bus = self._client.bus()
            else:
                self._bus = aio.open(self._url, **self._settings)
        return self._bus

    def _on_sent(self, sending: asyncio.Future[int]) -> None:
        self._sending.discard(sending)
        error = None if sending.cancelled() else sending.exception()
        if error is not None:
            if self._lost % _REPORT_EVERY == 0:
                log.warning("a message of PondSocket was lost, %d so far: %s", self._lost + 1, error)
            self._lost += 1


RedisPubSub = FanwirePubSub
"""The name of PondSocket's own."""


async def _run(stream: Stream, handler: PubSubHandler) -> None:
    async for message in stream:
        try:
            topic = message.channel_bytes.decode()
        except UnicodeDecodeError as error:
            log.warning("a message for %r is left out, as its topic is no text: %s", stream, error)
            continue
        try:
            await handler(topic, message.data)
        except Exception as error:
            _report(stream, error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            _report(stream, error)  # something that the handler awaited was cancelled


def _report(stream: Stream, error: BaseException) -> None:
    log.error("a handler of %r raised: %s", stream, error, exc_info=error)


def _on_event(event: Event) -> None:
    if event.kind == "gap":
        log.warning("%s messages for PondSocket were lost (%s)", event.count or "some", event.reason)
