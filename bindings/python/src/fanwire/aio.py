"""The asyncio interface."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from . import _lifetime, _log, _native
from ._aio_events import EngineEvents
from ._aio_request import Request
from ._aio_stream import BATCH, AsyncHandler, AsyncHandlerSubscription, PulledSubscription, Stream
from ._aio_subscription import Handler, Subscription
from ._backend_driver import Driver
from ._base_bus import BaseBus
from ._codecs import AnyCodec, Coding, coding_of
from ._connecting import Connecting
from ._events import Event, to_error, to_event
from ._handlers import check_callable, is_async
from ._json import AnyJson
from ._loops import check_loop, running_loop
from ._native import Message
from ._replies import check_expect, names_of, request_ms
from ._opened import Opened, SharedOpened
from ._setting_types import Settings
from ._settings import make_options, to_ms, to_publish_ms
from ._subscription import OnEvent
from ._threads import block_signals
from .backends import Backend, backend_of
from .errors import ClosedError, FanwireError, OutcomeUnknownError, TimeoutError, WrongLoopError

if TYPE_CHECKING:
    from .engine import Engine

# Events handled in one turn of the event loop; then others have theirs.
_CAPACITY = 512
_ENDED_S = 1.0  # longest wait for the engine to say that subscriptions have ended
_SHARED_INBOX = 0  # its key; others count from 1


def open(
    url: str | None = None,
    /,
    *,
    on_event: OnEvent | None = None,
    codec: AnyCodec | None = None,
    json: AnyJson | None = None,
    backend: Backend | object | None = None,
    **settings: Unpack[Settings],
) -> Bus:
    """Opens a bus at once, which connects in the background: `bus = fanwire.open(url)`, or `async with` it.

    Settings are keyword arguments, listed by fanwire.settings(). Until the first connection the same holds as while a
    connection is down: publishes are queued, or fail at once with offline="fail", and subscriptions are pending.
    `await bus.opened` waits for the outcome of the first attempt; on_event, plain or async, is called with each Event of
    the connection. The codec ("json", "msgpack", ..., or one of your own: see fanwire.Codec) makes payloads of values, and
    message.value of payloads. `json` (orjson, msgspec.json, ...: see fanwire.Json) makes and parses JSON instead of Python's
    own. Raises WrongLoopError where no event loop runs.

    With a backend the messages go through that: a client of redis or valkey, asyncio's or a blocking one, which is not
    closed, or an object with the methods of fanwire.backends.Backend. Settings of connections then have no effect.

    >>> import asyncio
    >>> async def main():
    ...     async with fanwire.open("memory://") as bus, bus.subscribe("chat") as messages:
    ...         await bus.publish("chat", {"n": 1})
    ...         return (await anext(messages)).json()
    >>> asyncio.run(main())
    {'n': 1}
    """
    check_callable(on_event, "on_event")
    carrier = None if backend is None else backend_of(backend)
    return Bus(make_options(url, settings), on_event, coding_of(codec, json), "fanwire.open()", backend=carrier)


def connect(
    url: str | None = None,
    /,
    *,
    on_event: OnEvent | None = None,
    codec: AnyCodec | None = None,
    json: AnyJson | None = None,
    backend: Backend | object | None = None,
    **settings: Unpack[Settings],
) -> Connecting:
    """Opens a bus and waits until it is connected: `bus = await connect(url)`, or `async with connect(url) as bus`.

    Settings are keyword arguments, listed by fanwire.settings(), and checked at once. Raises when the first attempt to
    connect fails (ConnectFailedError, AuthFailedError, ...) and then leaves nothing open; afterwards the bus connects
    again by itself for as long as it is open. on_event, plain or async, is called with each Event of the connection; the
    codec, `json` and the backend are as in open().

    >>> import asyncio
    >>> async def main():
    ...     async with fanwire.connect("memory://") as bus:
    ...         async with bus.subscribe("chat", lambda message: print(message.text)):
    ...             return await bus.publish("chat", "hello")
    >>> asyncio.run(main())
    hello
    1
    """
    check_callable(on_event, "on_event")
    options, coding = make_options(url, settings), coding_of(codec, json)
    carrier = None if backend is None else backend_of(backend)
    return Connecting(lambda: Bus(options, on_event, coding, "fanwire.connect()", backend=carrier))


class Bus(BaseBus):
    """One engine: its connections to Redis, and all that is published and subscribed through them.

    For use in the event loop that it was made in, which keeps it alive until it is closed; elsewhere publish(),
    subscribe() and the like raise WrongLoopError. Any thread may ask for health(), stats(), metrics(), latency(), state and
    connected, and call set_credentials() and reconnect().
    """

    def __init__(
        self,
        options: _native.Options,
        on_event: OnEvent | None,
        coding: Coding,
        maker: str,
        shared: Engine | None = None,
        backend: Backend | None = None,
    ) -> None:
        self._loop = running_loop(maker)
        self._options = options
        self._coding = coding
        self._shared = shared  # whose engine it uses; None: it has one of its own
        self._closing: asyncio.Task[None] | None = None
        self._pulled: weakref.WeakValueDictionary[int, PulledSubscription | Request] = weakref.WeakValueDictionary()
        self._last_key = _SHARED_INBOX
        self._waiters: set[asyncio.Future[None]] = set()
        self._handler_tasks: set[asyncio.Task[None]] = set()
        self._closers: set[asyncio.Task[Any] | None] = set()  # tasks that wait in close()
        self._followers: dict[asyncio.Task[Any] | None, asyncio.Task[None]] = {}  # tasks that wait for another handler
        self._handlers_done: asyncio.Future[None] | None = None  # what the closing waits for
        self._leaving: tuple[asyncio.Future[None], Callable[[], bool]] | None = None  # likewise, and whether it is so
        self._opened = Opened(self._loop) if shared is None else SharedOpened(self._loop, shared._engine)
        self._events = None if on_event is None else EngineEvents(self, on_event)

        self._waker = _native.Waker()
        self._inbox = _native.Inbox(options, _CAPACITY, self._waker, _SHARED_INBOX, coding.decode)
        if shared is None:
            _log.attach(options)
        self._driver: Driver | None = None
        self._engine = self._open_engine(backend) if shared is None else shared._engine
        self._publisher = _native.make_publisher(
            self._engine, coding.encode, self._inbox, self._loop, check_loop, not coding.is_default,
            coding.loads,
        )
        # Without an inbox, which would refer to itself through it.
        self._replier = _native.make_publisher(
            self._engine, coding.encode, encode_all=not coding.is_default, loads=coding.loads
        ) if shared is None else shared._publisher
        self._inbox.set_replier(self._replier)
        self._loop.add_reader(self._waker.fileno(), self._on_readable)
        self._closed = False
        _lifetime.opened(self)

    def _open_engine(self, backend: Backend | None) -> _native.Engine:
        if backend is None:
            return _native.Engine(self._options, self._inbox)
        broker = _native.Broker()
        broker.attach(self._options)
        try:
            engine = _native.Engine(self._options, self._inbox)
        except BaseException:
            broker.detach()
            raise
        self._driver = Driver(backend, broker, self._loop, self._options)
        return engine

    @property
    def opened(self) -> Opened:
        """Awaitable, any number of times: done when the first attempt to connect has succeeded.

        Raises why it failed (ConnectFailedError, AuthFailedError, ...), while the bus goes on trying; ClosedError when the
        bus was closed before. A failure that nobody awaits is no warning.
        """
        return self._opened

    def publish(
        self, channel: str | bytes, value: Any, *, timeout: float | None = None
    ) -> Coroutine[Any, Any, int]:
        """Publishes at once. To be awaited for the outcome: the number of receivers as Redis counts them.

        The timeout in seconds is instead of the setting publish_timeout_ms: what could not be sent by then raises
        TimeoutError and never is, what was sent and not answered OutcomeUnknownError.

        What comes back is a future, of which gather() makes no task, and create_task() takes it as well. asyncio.wait()
        takes tasks only. Called in another thread or loop it is a plain coroutine, which publishes when it is awaited in
        the bus's own loop, as by asyncio.run_coroutine_threadsafe(); anywhere else that raises WrongLoopError.
        """
        try:
            if timeout is None:
                return self._publisher.publish(channel, value)
            return self._publisher.publish(channel, value, to_publish_ms(timeout))
        except WrongLoopError:
            return self._publish_in_loop(channel, value, timeout)

    async def _publish_in_loop(self, channel: str | bytes, value: Any, timeout: float | None) -> int:
        self._check_use()
        return await self._publisher.publish(channel, value, to_publish_ms(timeout))

    @overload
    def subscribe(
        self, channel: str | bytes, handler: None = None, *, on_event: OnEvent | None = None
    ) -> Stream: ...
    @overload
    def subscribe(
        self, channel: str | bytes, handler: Handler | AsyncHandler, *, on_event: OnEvent | None = None
    ) -> Subscription: ...
    def subscribe(
        self,
        channel: str | bytes,
        handler: Handler | AsyncHandler | None = None,
        *,
        on_event: OnEvent | None = None,
    ) -> Subscription:
        """Subscribes to a channel; returns at once, `await subscription.ready` waits for Redis.

        Without a handler the subscription is to be iterated. With one, it is called with each message in order; an
        async one, or any that returns a coroutine, is awaited for one message after the other. What a handler raises
        goes to the event loop's exception handler, and delivery goes on. on_event, plain or async as well, is called with
        each Event of the subscription.
        """
        return self._subscribe(channel, False, handler, on_event)

    @overload
    def psubscribe(
        self, pattern: str | bytes, handler: None = None, *, on_event: OnEvent | None = None
    ) -> Stream: ...
    @overload
    def psubscribe(
        self, pattern: str | bytes, handler: Handler | AsyncHandler, *, on_event: OnEvent | None = None
    ) -> Subscription: ...
    def psubscribe(
        self,
        pattern: str | bytes,
        handler: Handler | AsyncHandler | None = None,
        *,
        on_event: OnEvent | None = None,
    ) -> Subscription:
        """Subscribes to all channels matching a pattern: Redis's * ? [a-z] [^a] and \\ to escape."""
        return self._subscribe(pattern, True, handler, on_event)

    def numsub(self, channels: Iterable[str | bytes]) -> Coroutine[Any, Any, list[int]]:
        """Awaitable: how many subscribers Redis counts for each of the channels, in their order. A connection counts once.

        Sent at once, as a publish is. At most 1024 channels, without patterns.
        """
        return self._publisher.numsub(names_of(channels))

    def request(
        self, channel: str | bytes, value: Any, *, expect: int = 0, timeout: float | None = 5.0
    ) -> Request:
        """Publishes a request to the subscribers of a channel, which answer by message.reply().

        `await` it for all Replies, or iterate over them as they come. It waits for `expect` replies, 0: as many as Redis
        says have received it; after `timeout` seconds what has come is the result, and its `missing` says what has not.
        `async with` ends it at the end of the block.
        """
        self._check_use()
        milliseconds = request_ms(timeout)
        self._last_key += 1
        request = Request(self, self._make_inbox(BATCH, self._last_key))
        payload = self._coding.encode(value)
        assert request._inbox is not None
        request._native = self._engine.request(
            channel, payload, check_expect(expect), milliseconds, request._inbox
        )
        self._pulled[self._last_key] = request
        return request

    async def close(self, timeout: float | None = 5.0) -> None:
        """Sends what was accepted, waiting up to `timeout` seconds, ends the subscriptions and disconnects.

        Raises TimeoutError when publishes were left without an outcome; the bus is closed all the same. A bus that is
        closed already stays so. A bus of an Engine leaves that connected, and waits for its own publishes.
        """
        timeout_ms = to_ms(timeout)
        if self._forked:
            return
        if not self._closed:
            check_loop(self._loop)
        first = self._closing is None
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(timeout_ms))
        caller = asyncio.current_task()
        self._closers.add(caller)
        self._note_handlers()
        try:
            await asyncio.shield(self._closing)
        except FanwireError:
            if first:
                raise
        finally:
            self._closers.discard(caller)

    async def __aenter__(self) -> Self:
        check_loop(self._loop)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except FanwireError:
            if exc is None:  # else the block's own exception tells more
                raise

    def __repr__(self) -> str:
        if self._forked:
            return "<fanwire.Bus of another process>"
        state = "closed" if self._closed else "connected" if self.connected else "not connected"
        shared = self._shared
        carrier = self._driver if shared is None else shared._carrier
        where = repr(self._options.get("url")) if carrier is None else carrier.name
        return f"<fanwire.Bus {where}, {state}>"

    def __del__(self) -> None:
        if not self._closed and self._shared is None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    def _check_use(self) -> None:
        """Raises unless it may be used here."""
        self._refuse_forked()
        check_loop(self._loop)

    # ---- Subscribing

    def _subscribe(
        self, name: str | bytes, is_pattern: bool, handler: Handler | AsyncHandler | None, on_event: OnEvent | None
    ) -> Subscription:
        check_callable(handler, "handler")
        check_callable(on_event, "on_event")
        self._check_use()
        if self._shared is not None and self._closed:
            raise ClosedError("the bus is closed")
        if handler is not None and not is_async(handler) and not is_async(on_event):
            subscription = Subscription(self, name, is_pattern, on_event, handler)
            subscription._native = self._engine.subscribe(name, is_pattern, self._inbox, subscription)
            return subscription

        self._last_key += 1
        inbox = self._make_inbox(BATCH, self._last_key)
        pulled: PulledSubscription
        if handler is None:
            pulled = Stream(self, name, is_pattern, on_event, inbox)
        else:
            pulled = AsyncHandlerSubscription(self, name, is_pattern, on_event, inbox, handler)
        pulled._native = self._engine.subscribe(name, is_pattern, inbox, None)
        self._pulled[self._last_key] = pulled
        if isinstance(pulled, AsyncHandlerSubscription):
            self._start(pulled.run(), repr(pulled))
        return pulled

    def _make_inbox(self, capacity: int, key: int) -> _native.Inbox:
        inbox = _native.Inbox(self._options, capacity, self._waker, key, self._coding.decode)
        inbox.set_replier(self._replier)
        return inbox

    def _start(self, handling: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that runs handlers: closing waits for it."""
        task = self._loop.create_task(handling, name=f"fanwire {name}")
        self._handler_tasks.add(task)
        task.add_done_callback(self._on_handler_task_done)
        return task

    # ---- Delivery

    def _on_readable(self) -> None:
        self._wake(iter(self._waker.take()))

    def _wake(self, keys: Iterator[int]) -> None:
        more = True
        try:
            for key in keys:
                if key == _SHARED_INBOX:
                    self._deliver()
                elif (pulled := self._pulled.get(key)) is not None:
                    pulled._woken()
            more = False
        finally:  # also when a handler raises KeyboardInterrupt: no inbox is announced twice
            if more:
                self._loop.call_soon(self._wake, keys)
            if self._leaving is not None:
                self._note_left()

    def _deliver(self) -> None:
        more = True
        try:
            full = self._deliver_batch()
            _native.call_back(self._inbox)  # no task is running: the event loop calls this
            more = full
        finally:  # also when a handler raises KeyboardInterrupt
            if more and not self._closed:
                self._loop.call_soon(self._deliver)
            if self._leaving is not None:
                self._note_left()

    def _deliver_batch(self) -> bool:
        """Delivers one batch; whether more may wait."""
        return _native.deliver(self._inbox, self._on_event_of, self._on_trouble, False)

    def _on_event_of(self, target: Subscription | _native.Outcome | None, event: Any) -> None:
        if target is None:
            self._on_engine_event(to_event(event))
        elif isinstance(target, _native.Outcome):
            target.set_exception(to_error(event))
        else:
            target._deliver_event(to_event(event))

    def _on_trouble(
        self, subscription: Subscription, message: Message, error: BaseException | None, awaitable: Any
    ) -> None:
        if error is not None:
            subscription._report_handler(error, message)
        else:
            subscription._await_from_now_on(awaitable, message)

    def _make_waiter(self) -> asyncio.Future[None]:
        """A future that is kept alive here, and with it who awaits it: nobody else may."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    def _on_engine_event(self, event: Event) -> None:
        if event.kind in ("connected", "error"):
            self._opened._settle(event.error)
        if self._events is not None:
            self._events.tell(event)

    def _report(self, error: BaseException, text: str, **context: object) -> None:
        self._loop.call_exception_handler({"message": text, "exception": error, **context})

    # ---- Closing

    async def _close_quietly(self) -> None:
        try:
            await self.close(0)
        except FanwireError:
            pass

    async def _close(self, timeout_ms: int) -> None:
        deadline = self._loop.time() + timeout_ms / 1000
        try:
            if self._shared is None:
                await self._close_engine(timeout_ms)
                if self._driver is not None:
                    await self._driver.closed(max(_ENDED_S, deadline - self._loop.time()))
            else:
                await self._leave_engine(deadline)
        finally:
            await self._deliver_rest(deadline)

    async def _close_engine(self, timeout_ms: int) -> None:
        if _lifetime.ending:  # no other thread comes back from the engine
            self._engine.close(timeout_ms)
            return
        executor = ThreadPoolExecutor(1, "fanwire-close", block_signals)  # the default one may be busy with things that wait for us
        try:
            try:
                closing = self._loop.run_in_executor(executor, self._engine.close, timeout_ms)
            except RuntimeError:  # the interpreter is ending: there are no new threads
                self._engine.close(timeout_ms)
            else:
                await closing
        finally:
            executor.shutdown(wait=False)

    async def _leave_engine(self, deadline: float) -> None:
        """Waits for the outcomes of what was published here, then ends what was subscribed here."""
        await self._wait_left(lambda: not self._pending_outcomes(), deadline)
        self._publisher.close()
        left = self._pending_outcomes()
        for outcome in left:
            outcome.set_exception(OutcomeUnknownError("the bus was closed before the outcome came"))
        for subscription in self._subscriptions():
            subscription.close()
        # The engine says so at once, whatever Redis does.
        await self._wait_left(lambda: not self._subscriptions(), max(deadline, self._loop.time() + _ENDED_S))
        if left:
            raise TimeoutError(f"closed, but {len(left)} publishes have no outcome yet")

    def _pending_outcomes(self) -> list[_native.Outcome]:
        targets = self._inbox.targets()
        return [target for target in targets if isinstance(target, _native.Outcome) and not target.done()]

    def _subscriptions(self) -> list[Subscription | Request]:
        """Those that have not heard of their end."""
        handled = [target for target in self._inbox.targets() if isinstance(target, Subscription)]
        return [*handled, *(pulled for pulled in self._pulled.values() if pulled._inbox is not None)]

    async def _wait_left(self, is_left: Callable[[], bool], deadline: float) -> None:
        """Waits until it is so, which what is delivered decides."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._leaving = future, is_left
        self._note_left()
        await asyncio.wait([future], timeout=max(0, deadline - self._loop.time()))
        self._leaving = None

    def _note_left(self) -> None:
        if self._leaving is not None:
            future, is_left = self._leaving
            if not future.done() and is_left():
                future.set_result(None)

    async def _deliver_rest(self, deadline: float) -> None:
        try:
            more = True
            while more:
                more = self._deliver_batch()
                if self._inbox.has_settled():
                    self._loop.call_soon(_native.call_back, self._inbox)
                await asyncio.sleep(0)
            for pulled in list(self._pulled.values()):
                pulled._woken()
            self._opened._settle(ClosedError("the bus was closed before it was connected"))
            self._handlers_done = self._loop.create_future()
            self._note_handlers()
            await asyncio.wait([self._handlers_done], timeout=max(0, deadline - self._loop.time()))
        finally:
            self._loop.remove_reader(self._waker.fileno())
            self._forget()
            _lifetime.closed(self)

    async def _follow(self, task: asyncio.Task[None]) -> None:
        """Waits for a handler's task, in another one's."""
        caller = asyncio.current_task()
        self._followers[caller] = task
        self._note_handlers()
        try:
            await asyncio.wait([task])
        finally:
            del self._followers[caller]

    def _on_handler_task_done(self, task: asyncio.Task[None]) -> None:
        self._handler_tasks.discard(task)
        self._note_handlers()

    def _note_handlers(self) -> None:
        """Those that wait in close() themselves, whenever they came there, or for such a one, are not waited for."""
        done = self._handlers_done
        if done is None or done.done():
            return
        if all(self._followers.get(task, task) in self._closers for task in self._handler_tasks):
            done.set_result(None)

    # ---- For _lifetime

    def _abandon(self) -> None:
        if self._closed:
            return
        text = f"unclosed {self!r}"
        self._forget()
        if self._shared is not None:  # its engine is closed by itself
            return
        try:
            self._engine.close(0)
        except FanwireError:
            pass
        warnings.warn(text, ResourceWarning, source=self)  # last, as it may be an error
