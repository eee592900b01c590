"""The blocking interface."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, Unpack, overload

from . import _lifetime, _log, _native
from ._backend_thread import BackendThread
from ._base_bus import BaseBus
from ._client_request import ClientRequest
from ._codecs import AnyCodec, coding_of
from ._client_subscription import _BATCH, ClientStream, ClientSubscription, Handler
from ._dispatcher import Dispatcher
from ._green import call_in_real_thread, is_green, wait_until
from ._green_outcomes import GreenOutcomes, Outcomes
from ._handlers import check_callable, refuse_async
from ._health import Health, Verdict
from ._json import AnyJson
from ._replies import check_expect, names_of, request_ms
from ._setting_types import Settings
from ._settings import make_options, to_deadline, to_ms, to_publish_ms
from ._subscription import OnEvent
from ._threads import block_signals
from .backends import Backend, backend_of
from .errors import ClosedError, FanwireError, InternalError, InvalidArgumentError, TimeoutError

# How long a client that was left open may keep its process from ending.
_ABANDON_MS = 500
_BACKEND_S = 1.0  # at least that is waited for a backend to close


class Client(BaseBus):
    """One engine: its connections to Redis, and all that is published and subscribed through them. For any threads.

    Settings are keyword arguments, listed by fanwire.settings(). Raises when the first attempt to connect fails
    (ConnectFailedError, AuthFailedError, ...); afterwards it connects again by itself for as long as it is open. With
    wait=False it returns at once and connects in the background: until the first connection the same holds as while a
    connection is down, and wait_connected() tells what became of it.
    The codec ("json", "msgpack", ..., or one of your own: see fanwire.Codec) makes payloads of values, and message.value of
    payloads; `json` (orjson, msgspec.json, ...: see fanwire.Json) makes and parses JSON instead of Python's own.
    Handlers and on_event, which gets each Event of the connection, are called in one thread of the client's own.

    With a backend the messages go through that: a client of redis or valkey, which is not closed, or an object with the
    methods of fanwire.backends.Backend, in an event loop that a thread of its own runs ("fanwire-backend"). A client of
    redis.asyncio is used in that loop, so nobody else may use it meanwhile, and its connections end with the loop. Settings
    of connections then have no effect.

    >>> with fanwire.Client("memory://") as client, client.subscribe("chat") as messages:
    ...     client.publish("chat", {"n": 1})
    ...     messages.get(timeout=5).json()
    1
    {'n': 1}
    """

    _public_name = "Client"

    def __init__(
        self,
        url: str | None = None,
        /,
        *,
        on_event: OnEvent | None = None,
        codec: AnyCodec | None = None,
        json: AnyJson | None = None,
        backend: Backend | object | None = None,
        wait: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        check_callable(on_event, "on_event")
        refuse_async(on_event, "on_event")
        self._coding = coding_of(codec, json)
        self._options = make_options(url, settings)
        carrier = None if backend is None else backend_of(backend)
        self._green = is_green()
        if carrier is not None and self._green:
            raise InvalidArgumentError(
                "a backend works in a thread of its own, and threads are greenlets here: give a URL instead"
            )
        self._make_outcomes: Callable[[], Outcomes] = GreenOutcomes if self._green else _native.Outcomes
        self._lock = threading.Lock()
        self._outcomes: list[Outcomes] = []  # that nobody waits by; threads come and go
        self._dispatcher: Dispatcher | None = None
        if on_event is not None:
            self._dispatcher = Dispatcher(self._options, self._coding, on_event)
        inbox = None if self._dispatcher is None else self._dispatcher.inbox
        _log.attach(self._options)
        self._carrier = None if carrier is None else BackendThread(carrier, self._options)
        self._engine = self._open_engine(inbox)
        self._publisher = _native.make_publisher(
            self._engine,
            self._coding.encode,
            encode_all=not self._coding.is_default,
            loads=self._coding.loads,
        )
        if self._dispatcher is not None:
            self._dispatcher.inbox.set_replier(self._publisher)
            self._dispatcher.start()
        self._closed = False
        _lifetime.opened(self)
        if not wait:
            return
        try:
            self.wait_connected(None)
        except BaseException:
            self._close_quietly()
            raise

    def _open_engine(self, inbox: _native.Inbox | None) -> _native.Engine:
        carrier = self._carrier
        try:
            engine = _native.Engine(self._options, inbox)
        except BaseException:
            if carrier is not None:
                carrier.detach()
            raise
        if carrier is not None:
            try:
                carrier.start()
            except BaseException:
                engine.close(0)
                raise
        return engine

    def wait_connected(self, timeout: float | None = None) -> None:
        """Waits until it is connected, or the last attempt to connect has failed.

        Raises why that failed (ConnectFailedError, ConnectTimeoutError, AuthFailedError, ...) while the client goes on
        trying, TimeoutError after `timeout` seconds, or ClosedError.
        """
        timeout_ms = to_ms(timeout)
        if self._green:
            wait_until(self._has_attempted, to_deadline(timeout))
            timeout_ms = 0
        self._engine.wait_connected(timeout_ms)

    def publish(self, channel: str | bytes, value: Any, timeout: float | None = None) -> int:
        """Publishes and waits for the outcome: the number of receivers as Redis counts them.

        The timeout in seconds is instead of the setting publish_timeout_ms: what could not be sent by then raises
        TimeoutError and never is, what was sent and not answered OutcomeUnknownError.
        """
        timeout_ms = to_publish_ms(timeout)
        payload = self._coding.encode(value)
        # Taken away while in use: by other threads, or by a signal's handler in the middle of it.
        try:
            outcomes = self._outcomes.pop()
        except IndexError:
            outcomes = self._make_outcomes()
        try:
            return outcomes.publish(self._engine, channel, payload, timeout_ms)
        finally:
            self._outcomes.append(outcomes)

    def numsub(self, channels: Iterable[str | bytes]) -> list[int]:
        """How many subscribers Redis counts for each of the channels, in their order. A connection counts once.

        At most 1024 channels, without patterns.
        """
        names = names_of(channels)
        return self._make_outcomes().numsub(self._engine, names)

    def request(
        self, channel: str | bytes, value: Any, *, expect: int = 0, timeout: float | None = 5.0
    ) -> ClientRequest:
        """Publishes a request to the subscribers of a channel, which answer by message.reply().

        Iterate over the replies as they come, or call all(). It waits for `expect` replies, 0: as many as Redis says have
        received it; after `timeout` seconds what has come is the result, and its `missing` says what has not.
        """
        milliseconds = request_ms(timeout)
        inbox, waker = self._make_inbox()
        request = ClientRequest(self, inbox, waker)
        payload = self._coding.encode(value)
        request._native = self._engine.request(channel, payload, check_expect(expect), milliseconds, inbox)
        return request

    @overload
    def subscribe(
        self, channel: str | bytes, handler: None = None, *, on_event: OnEvent | None = None
    ) -> ClientStream: ...
    @overload
    def subscribe(
        self, channel: str | bytes, handler: Handler, *, on_event: OnEvent | None = None
    ) -> ClientSubscription: ...
    def subscribe(
        self, channel: str | bytes, handler: Handler | None = None, *, on_event: OnEvent | None = None
    ) -> ClientSubscription:
        """Subscribes to a channel; returns at once, `subscription.wait_ready()` waits for Redis.

        Without a handler the subscription is to be iterated. With one, the client's own thread calls it with each
        message in order. What a handler raises is logged ("fanwire"), and delivery goes on. on_event is called with
        each Event of the subscription.
        """
        return self._subscribe(channel, False, handler, on_event)

    @overload
    def psubscribe(
        self, pattern: str | bytes, handler: None = None, *, on_event: OnEvent | None = None
    ) -> ClientStream: ...
    @overload
    def psubscribe(
        self, pattern: str | bytes, handler: Handler, *, on_event: OnEvent | None = None
    ) -> ClientSubscription: ...
    def psubscribe(
        self, pattern: str | bytes, handler: Handler | None = None, *, on_event: OnEvent | None = None
    ) -> ClientSubscription:
        """Subscribes to all channels matching a pattern: Redis's * ? [a-z] [^a] and \\ to escape."""
        return self._subscribe(pattern, True, handler, on_event)

    def close(self, timeout: float | None = 5.0) -> None:
        """Sends what was accepted, waiting up to `timeout` seconds, ends the subscriptions and disconnects.

        Raises TimeoutError when publishes were left without an outcome, or a handler did not return; the client is
        closed all the same. A client that is closed already stays so.
        """
        timeout_ms = to_ms(timeout)
        with self._lock:
            if self._closed:
                return
            self._closed = True
        _lifetime.closed(self)
        deadline = to_deadline(timeout)
        try:
            self._close_engine(timeout_ms)
        finally:
            if self._carrier is not None:
                self._carrier.stop(_BACKEND_S if deadline is None else max(_BACKEND_S, deadline - time.monotonic()))
            done = self._stop_dispatcher(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if not done:
            raise TimeoutError("closed, but a handler is still running")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except FanwireError:
            if exc is None:  # else the block's own exception tells more
                raise

    def __repr__(self) -> str:
        if self._forked:
            return f"<fanwire.{self._public_name} of another process>"
        state = "closed" if self._closed else "connected" if self.connected else "not connected"
        where = repr(self._options.get("url")) if self._carrier is None else self._carrier.name
        return f"<fanwire.{self._public_name} {where}, {state}>"

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)
            self._stop_dispatcher(0)

    def _subscribe(
        self, name: str | bytes, is_pattern: bool, handler: Handler | None, on_event: OnEvent | None
    ) -> ClientSubscription:
        check_callable(handler, "handler")
        check_callable(on_event, "on_event")
        refuse_async(handler, "the handler")
        refuse_async(on_event, "on_event")
        self._refuse_forked()
        if handler is None:
            inbox, waker = self._make_inbox()
            stream = ClientStream(self, name, is_pattern, on_event, inbox, waker)
            stream._native = self._engine.subscribe(name, is_pattern, inbox, None)
            return stream
        subscription = ClientSubscription(self, name, is_pattern, on_event, handler)
        inbox = self._get_dispatcher().inbox
        subscription._native = self._engine.subscribe(name, is_pattern, inbox, subscription)
        return subscription

    def _has_attempted(self) -> bool:
        """Whether there is something to say about an attempt to connect."""
        return self._closed or self._engine.connected() or self._engine.stats()["connect_errors"] > 0

    def health(self) -> Health:
        health = super().health()
        dispatcher = self._dispatcher
        if dispatcher is None or self._closed or not dispatcher.is_dead:
            return health
        text = "the thread that calls the handlers has ended: nothing is delivered to them any more"
        verdict = health.verdict if health.verdict is Verdict.DOWN else Verdict.DEGRADED
        return replace(health, verdict=verdict, error=InternalError(text), text=text)

    def _make_inbox(self) -> tuple[_native.Inbox, _native.Waker | None]:
        """One of its own, and what greenlets wait by."""
        waker = _native.Waker() if self._green else None
        inbox = _native.Inbox(self._options, _BATCH, waker, decode=self._coding.decode)
        inbox.set_replier(self._publisher)
        return inbox, waker

    def _get_dispatcher(self) -> Dispatcher:
        with self._lock:
            if self._dispatcher is None:
                if self._closed:  # nobody would stop it
                    raise ClosedError("the client is closed")
                self._dispatcher = Dispatcher(self._options, self._coding, None)
                self._dispatcher.inbox.set_replier(self._publisher)
                self._dispatcher.start()
            return self._dispatcher

    def _close_engine(self, timeout_ms: int) -> None:
        """Has a thread close it, which Ctrl-C need not wait for."""
        if _lifetime.ending:
            self._engine.close(timeout_ms)
            return
        if self._green:
            call_in_real_thread(lambda: self._engine.close(timeout_ms))
            return
        failures: list[Exception] = []

        def close() -> None:
            try:
                self._engine.close(timeout_ms)
            except Exception as error:
                failures.append(error)

        def close_in_thread() -> None:
            block_signals()
            close()

        thread = threading.Thread(target=close_in_thread, name="fanwire-close", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many, or the interpreter is ending
            close()
        else:
            thread.join()
        if failures:
            raise failures[0]

    def _stop_dispatcher(self, timeout: float | None) -> bool:
        with self._lock:
            dispatcher = self._dispatcher
        return dispatcher is None or dispatcher.stop(timeout)

    def _close_quietly(self) -> None:
        try:
            self.close(0)
        except FanwireError:
            pass

    # ---- For _lifetime

    def _abandon(self) -> None:
        if self._closed:
            return
        text = f"unclosed {self!r}"
        self._forget()
        try:
            self._engine.close(_ABANDON_MS)
        except FanwireError:
            pass
        if self._carrier is not None:
            self._carrier.stop(_ABANDON_MS / 1000)
        self._stop_dispatcher(_ABANDON_MS / 1000)
        warnings.warn(text, ResourceWarning, source=self)  # last, as it may be an error

    def _forget_forked(self) -> None:
        super()._forget_forked()
        self._lock = threading.Lock()  # the former may be held by a thread that is not here

