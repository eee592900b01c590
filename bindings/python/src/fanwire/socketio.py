"""fanwire under python-socketio: client managers by which servers share their clients.

    import socketio
    from fanwire.socketio import AsyncFanwireManager, FanwireManager

    server = socketio.AsyncServer(client_manager=AsyncFanwireManager("redis://127.0.0.1:6379"))
    outside = FanwireManager("redis://127.0.0.1:6379", write_only=True)   # emits, in any thread
    outside.emit("news", {"n": 1}, room="readers")

What goes over Redis is what the Redis managers of python-socketio send from 5.15.1 on. Those before 5.14 send pickled
messages, which are code to whoever loads them: these are refused, with a line in the log.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from . import ClosedError, Engine, Event, FanwireError
from ._faces import face_settings, log, missing, not_in_url, refuse_settings, settings_of_options
from ._setting_types import NonUrlSettings

try:
    import socketio  # type: ignore[import-untyped]
except ImportError as error:
    raise ImportError(missing("fanwire.socketio", "python-socketio")) from error

if TYPE_CHECKING:

    class _Manager:
        """What is used here of python-socketio, which has no types."""

        json: Any
        server: Any

        def __init__(self, channel: str, write_only: bool, logger: Any, json: Any) -> None: ...
        def initialize(self) -> None: ...
        def _get_logger(self) -> Any: ...

    class _PubSubManager(_Manager): ...

    class _AsyncPubSubManager(_Manager): ...
else:
    _Manager = object
    from socketio import PubSubManager as _PubSubManager
    from socketio.async_pubsub_manager import AsyncPubSubManager as _AsyncPubSubManager

__all__ = ["AsyncFanwireManager", "AsyncRedisManager", "FanwireManager", "RedisManager"]

_PICKLE = b"\x80"  # how each pickle of protocol 2 and later begins
_REPORT_EVERY = 100  # of what is refused
_RETRY_S = 60.0  # where it cannot be subscribed at all, as with a wrong URL
_CLOSE_S = 1.0  # longest that the end of the process waits for what is still to be sent
# In a burst the outcome of one message in so many is waited for, and of one in so many seconds. What is emitted at a
# lower rate is all waited for.
_BURST = 32
_BURST_S = 0.02


class _Face(_Manager):
    """What both managers do with an engine."""

    name = "fanwire"

    def __init__(
        self,
        url: str | Engine = "redis://localhost:6379/0",
        channel: str = "socketio",
        write_only: bool = False,
        logger: Any = None,
        json: Any = None,
        redis_options: Mapping[str, Any] | None = None,
        **settings: Unpack[NonUrlSettings],
    ) -> None:
        super().__init__(channel=channel, write_only=write_only, logger=logger, json=json)
        self.channel = channel
        if isinstance(url, Engine):
            refuse_settings(settings, url)
        self._given = url
        self._redis_options = dict(redis_options or {})
        self._settings = settings
        self._engines: dict[int, Engine] = {}  # by the process, which may have been forked since
        self._burst = 0  # messages since the last one whose outcome was waited for
        self._waited_at = 0.0  # when that was
        self._failed: int | None = None  # publishes that have failed so far, as far as the log knows
        self._refused = 0
        _managers.add(self)

    def _redis_connect(self) -> Engine:
        """The engine, opened at the first use. Raises what is wrong with the URL or the settings."""
        if isinstance(self._given, Engine):
            return self._given
        engine = self._engines.get(os.getpid())
        if engine is None:
            settings = not_in_url(settings_of_options(self._redis_options), self._given) | self._settings
            made = Engine(self._given, **face_settings(self._given, settings))
            engine = self._engines.setdefault(os.getpid(), made)
            if engine is made:
                self._failed = None
                weakref.finalize(self, _close, made).atexit = False  # _close_all() is earlier
                if "multiprocessing.util" in sys.modules:  # whose processes end without atexit
                    multiprocessing = sys.modules["multiprocessing.util"]
                    multiprocessing.Finalize(self, _close, (made,), exitpriority=0)
            else:
                _close(made)  # another thread has made one meanwhile
        return engine

    def _has_to_wait(self, engine: Engine) -> bool:
        """Whether the outcome of the next message is waited for: then nothing is left that was not."""
        now = time.monotonic()
        self._burst += 1
        if self._burst < _BURST and now - self._waited_at < _BURST_S and engine.connected:
            return False
        self._burst = 0
        self._waited_at = now
        return True

    def _note_failures(self, engine: Engine) -> None:
        """Also of those whose outcome was not waited for: they come before the last one's."""
        stats = engine.stats()
        failed = stats["publish_failed"] + stats["publish_unknown"]
        if self._failed is not None and failed > self._failed:
            self._report("Cannot publish to redis... messages that are or may be lost", failed - self._failed)
        self._failed = failed

    def _send_later(self, engine: Engine, payload: str | bytes, error: FanwireError | None) -> None:
        """Redis is away: nobody is kept waiting for it."""
        engine.publish_nowait(self.channel, payload)
        why = error or engine.health().error
        self._report("Cannot publish to redis... the message waits for it for as long as publish_timeout_ms says", why)

    def _report(self, what: str, error: object) -> None:
        self._get_logger().error(f"{what}: {error}", extra={"redis_exception": str(error)})

    def _on_event(self, event: Event) -> None:
        if event.kind in ("lost", "failed"):
            self._report("Cannot receive from redis... retrying", event.error)
        elif event.kind == "gap":
            self._report("Messages of other servers were lost", event.reason)

    def _is_message(self, data: bytes) -> bool:
        """Whether it may be one: a JSON object. Others are reported, the first and every hundredth."""
        if data.lstrip()[:1] == b"{":
            return True
        if self._refused % _REPORT_EVERY == 0:
            what = (
                "a pickled message (python-socketio sends such before 5.14, and so can an attacker)"
                if data[:1] == _PICKLE
                else "what is no message"
            )
            self._get_logger().error(f"Refused {what}, on the channel {self.channel!r}; {self._refused + 1} so far")
        self._refused += 1
        return False


class FanwireManager(_Face, _PubSubManager):
    """A client manager for socketio.Server, or with write_only=True for any thread that emits.

    Takes what socketio.RedisManager takes, and the settings of fanwire.Engine as keyword arguments. Of redis_options
    those that say where the server is and who logs in are understood. Instead of a URL it takes a fanwire.Engine, which
    others may use as well and whoever made it closes. Connects at the first use.

    emit() never raises for Redis: the log has what failed. It returns when Redis has the message, but in a burst: then it
    waits for one in 32. While Redis is away it returns at once, and the message waits for up to publish_timeout_ms. The end
    of the process waits for what was emitted last, unless os._exit() ends it.
    """

    def initialize(self) -> None:
        if self.server is not None and not _is_patched(self.server.async_mode):
            raise RuntimeError(f"Redis requires a monkey patched socket library to work with {self.server.async_mode}")
        super().initialize()

    def _publish(self, data: dict[str, Any]) -> None:
        try:
            payload = self.json.dumps(data)
            engine = self._redis_connect()
            if self._has_to_wait(engine):
                self._wait_for(engine, payload)
            else:
                engine.publish_nowait(self.channel, payload)
        except Exception as error:
            self._report("Cannot publish to redis... giving up", error)

    def _wait_for(self, engine: Engine, payload: str | bytes) -> None:
        error = None
        if engine.state == "connecting":
            try:
                engine.wait_connected()
            except FanwireError as failure:
                error = failure
        if engine.connected:
            try:
                engine.publish(self.channel, payload)
            finally:
                self._note_failures(engine)
        else:
            self._send_later(engine, payload, error)

    def _listen(self) -> Iterator[bytes]:
        while True:
            try:
                stream = self._redis_connect().subscribe(self.channel, on_event=self._on_event)
            except ClosedError:
                if not isinstance(self._given, Engine):
                    threading.Event().wait()  # the process ends, and this daemon thread with it
                return
            except Exception as error:
                self._report(f"Cannot receive from redis... retrying in {_RETRY_S:.0f} secs", error)
                time.sleep(_RETRY_S)
                continue
            with stream:
                for batch in stream.batches():
                    for message in batch:
                        data = message.data
                        if self._is_message(data):
                            yield data


class AsyncFanwireManager(_Face, _AsyncPubSubManager):
    """A client manager for socketio.AsyncServer, or with write_only=True for any event loop that emits.

    As FanwireManager, with the arguments of socketio.AsyncRedisManager.
    """

    async def _publish(self, data: dict[str, Any]) -> None:
        try:
            payload = self.json.dumps(data)
            engine = self._redis_connect()
            if self._has_to_wait(engine):
                await self._wait_for(engine, payload)
            else:
                engine.publish_nowait(self.channel, payload)
        except Exception as error:
            self._report("Cannot publish to redis... giving up", error)

    async def _wait_for(self, engine: Engine, payload: str | bytes) -> None:
        bus, error = engine.bus(), None
        if engine.state == "connecting":
            try:
                await bus.opened
            except FanwireError as failure:
                error = failure
        if engine.connected:
            try:
                await bus.publish(self.channel, payload)
            finally:
                self._note_failures(engine)
        else:
            self._send_later(engine, payload, error)

    async def _listen(self) -> AsyncIterator[bytes]:
        while True:
            try:
                stream = self._redis_connect().bus().subscribe(self.channel, on_event=self._on_event)
            except ClosedError:
                return
            except Exception as error:
                self._report(f"Cannot receive from redis... retrying in {_RETRY_S:.0f} secs", error)
                await asyncio.sleep(_RETRY_S)
                continue
            with stream:
                async for batch in stream.batches():
                    for message in batch:
                        data = message.data
                        if self._is_message(data):
                            yield data


RedisManager = FanwireManager
AsyncRedisManager = AsyncFanwireManager
"""The names of python-socketio's own."""


def _is_patched(mode: str) -> bool:
    """Whether sockets let other greenlets run, where a server works with greenlets."""
    if mode == "eventlet":
        return bool(importlib.import_module("eventlet.patcher").is_monkey_patched("socket"))
    if "gevent" in mode:
        return bool(importlib.import_module("gevent.monkey").is_module_patched("socket"))
    return True


_managers: weakref.WeakSet[_Face] = weakref.WeakSet()


def _close(engine: Engine) -> None:
    try:
        engine.close(_CLOSE_S)
    except FanwireError as error:
        log.warning("what was emitted last may be lost: %s", error)


@atexit.register
def _close_all() -> None:
    for manager in list(_managers):
        for engine in manager._engines.values():
            _close(engine)
