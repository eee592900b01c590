"""The asyncio interface."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CoroutineType, TracebackType
from typing import Any, Self, overload

from . import _lifetime, _native
from ._aio_stream import BATCH, AsyncHandler, AsyncHandlerSubscription, PulledSubscription, Stream
from ._aio_subscription import Handler, Subscription
from ._base_bus import BaseBus
from ._events import Event, to_error, to_event
from ._handlers import CAUGHT, check_callable, is_async
from ._native import Message
from ._settings import SettingValue, make_options, to_ms
from ._subscription import OnEvent
from ._values import encode
from .errors import FanwireError

# Events handled in one turn of the event loop; then others have theirs.
_CAPACITY = 512
_SHARED_INBOX = 0  # its key; others count from 1


class Connecting:
    """What connect() gives: to be awaited, or entered with `async with`."""

    def __init__(self, url: str | None, on_event: OnEvent | None, settings: dict[str, SettingValue]) -> None:
        self._url = url
        self._on_event = on_event
        self._settings = settings
        self._bus: Bus | None = None

    def __await__(self) -> Generator[Any, None, Bus]:
        return self._open().__await__()

    async def _open(self) -> Bus:
        check_callable(self._on_event, "on_event")
        bus = Bus(make_options(self._url, self._settings), self._on_event)
        try:
            await bus._first_attempt()
        except BaseException:
            await bus._close_quietly()
            raise
        return bus

    async def __aenter__(self) -> Bus:
        self._bus = await self._open()
        return self._bus

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._bus is not None
        await self._bus.__aexit__(exc_type, exc, traceback)


def connect(url: str | None = None, /, *, on_event: OnEvent | None = None, **settings: SettingValue) -> Connecting:
    """Opens a bus: `bus = await connect(url)`, or `async with connect(url) as bus`.

    Settings are keyword arguments, listed by fanwire.settings(). Raises when the first attempt to connect fails
    (ConnectFailedError, AuthFailedError, ...) and then leaves nothing open; afterwards the bus connects again by itself
    for as long as it is open. on_event is called with each Event of the connection.
    """
    return Connecting(url, on_event, settings)


class Bus(BaseBus):
    """One engine: its connections to Redis, and all that is published and subscribed through them.

    For use in the thread of the event loop that it was made in, which keeps it alive until it is closed.
    """

    def __init__(self, options: _native.Options, on_event: OnEvent | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._on_event = on_event
        self._closing: asyncio.Task[None] | None = None
        self._attempt: asyncio.Future[None] | None = None
        self._pulled: weakref.WeakValueDictionary[int, PulledSubscription] = weakref.WeakValueDictionary()
        self._last_key = _SHARED_INBOX
        self._waiters: set[asyncio.Future[None]] = set()
        self._handler_tasks: set[asyncio.Task[None]] = set()
        self._closers: set[asyncio.Task[Any] | None] = set()  # tasks that wait in close()
        self._handlers_done: asyncio.Future[None] | None = None  # what the closing waits for

        self._attempt = self._make_waiter()
        self._waker = _native.Waker()
        self._inbox = _native.Inbox(options, _CAPACITY, self._waker, _SHARED_INBOX)
        self._engine = _native.Engine(options, self._inbox)
        self._publisher = _native.make_publisher(self._engine, encode, self._inbox, self._loop)
        self._loop.add_reader(self._waker.fileno(), self._on_readable)
        self._closed = False
        _lifetime.opened(self)

    def publish(self, channel: str | bytes, value: Any) -> Coroutine[Any, Any, int]:
        """Publishes at once. To be awaited for the outcome: the number of receivers as Redis counts them.

        What comes back is a future, of which gather() makes no task, and create_task() takes it as well. asyncio.wait()
        takes tasks only.
        """
        return self._publisher.publish(channel, value)

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
        async one is awaited for one message after the other. What a handler raises goes to the event loop's exception
        handler, and delivery goes on. on_event is called with each Event of the subscription.
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

    async def close(self, timeout: float | None = 5.0) -> None:
        """Sends what was accepted, waiting up to `timeout` seconds, ends the subscriptions and disconnects.

        Raises TimeoutError when publishes were left without an outcome; the bus is closed all the same. A bus that is
        closed already stays so.
        """
        timeout_ms = to_ms(timeout)
        if self._forked:
            return
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
        return f"<fanwire.Bus {self._options.get('url')!r}, {state}>"

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)

    # ---- Subscribing

    def _subscribe(
        self, name: str | bytes, is_pattern: bool, handler: Handler | AsyncHandler | None, on_event: OnEvent | None
    ) -> Subscription:
        check_callable(handler, "handler")
        check_callable(on_event, "on_event")
        self._refuse_forked()
        if handler is not None and not is_async(handler):
            subscription = Subscription(self, name, is_pattern, on_event, handler)
            subscription._native = self._engine.subscribe(name, is_pattern, self._inbox, subscription)
            return subscription

        self._last_key += 1
        inbox = _native.Inbox(self._options, BATCH, self._waker, self._last_key)
        pulled: PulledSubscription
        if handler is None:
            pulled = Stream(self, name, is_pattern, on_event, inbox)
        else:
            pulled = AsyncHandlerSubscription(self, name, is_pattern, on_event, inbox, handler)  # type: ignore[arg-type]
        pulled._native = self._engine.subscribe(name, is_pattern, inbox, None)
        self._pulled[self._last_key] = pulled
        if isinstance(pulled, AsyncHandlerSubscription):
            task = self._loop.create_task(pulled.run(), name=f"fanwire {pulled!r}")
            self._handler_tasks.add(task)
            task.add_done_callback(self._on_handler_task_done)
        return pulled

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

    def _deliver(self) -> None:
        more = True
        try:
            full = self._deliver_batch()
            _native.call_back(self._inbox)  # no task is running: the event loop calls this
            more = full
        finally:  # also when a handler raises KeyboardInterrupt
            if more and not self._closed:
                self._loop.call_soon(self._deliver)

    def _deliver_batch(self) -> bool:
        """Delivers one batch; whether more may wait."""
        return _native.deliver(self._inbox, self._on_event_of, self._on_trouble, False)

    def _on_event_of(self, target: Subscription | _native.Outcome | None, event: _native.RawEvent) -> None:
        if target is None:
            self._on_engine_event(to_event(event))
        elif isinstance(target, _native.Outcome):
            target.set_exception(to_error(event))
        else:
            target._deliver_event(to_event(event))

    def _on_trouble(
        self,
        subscription: Subscription,
        message: Message,
        error: BaseException | None,
        coroutine: CoroutineType[Any, Any, Any] | None,
    ) -> None:
        if error is not None:
            subscription._report_handler(error, message)
        elif coroutine is not None:
            subscription._report_coroutine(coroutine, message)

    def _make_waiter(self) -> asyncio.Future[None]:
        """A future that is kept alive here, and with it who awaits it: nobody else may."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    def _on_engine_event(self, event: Event) -> None:
        attempt = self._attempt
        if attempt is not None and event.kind in ("connected", "error"):
            self._attempt = None
            if attempt.done():
                pass
            elif event.error is None:
                attempt.set_result(None)
            else:
                attempt.set_exception(event.error)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except CAUGHT as error:
            self._report(error, f"on_event of {self!r} raised", event=event)

    def _report(self, error: BaseException, text: str, **context: object) -> None:
        self._loop.call_exception_handler({"message": text, "exception": error, **context})

    # ---- Opening and closing

    async def _first_attempt(self) -> None:
        assert self._attempt is not None
        await self._attempt

    async def _close_quietly(self) -> None:
        try:
            await self.close(0)
        except FanwireError:
            pass

    async def _close(self, timeout_ms: int) -> None:
        start = self._loop.time()
        executor = ThreadPoolExecutor(1, "fanwire-close")  # the default one may be busy with things that wait for us
        try:
            if _lifetime.ending:  # no other thread comes back from the engine
                self._engine.close(timeout_ms)
            else:
                try:
                    closing = self._loop.run_in_executor(executor, self._engine.close, timeout_ms)
                except RuntimeError:  # the interpreter is ending: there are no new threads
                    self._engine.close(timeout_ms)
                else:
                    await closing
        finally:
            executor.shutdown(wait=False)
            await self._deliver_rest(start + timeout_ms / 1000)

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
            self._handlers_done = self._loop.create_future()
            self._note_handlers()
            await asyncio.wait([self._handlers_done], timeout=max(0, deadline - self._loop.time()))
        finally:
            self._loop.remove_reader(self._waker.fileno())
            self._forget()
            _lifetime.closed(self)

    def _on_handler_task_done(self, task: asyncio.Task[None]) -> None:
        self._handler_tasks.discard(task)
        self._note_handlers()

    def _note_handlers(self) -> None:
        """Those that wait in close() themselves, whenever they came there, are not waited for."""
        done = self._handlers_done
        if done is not None and not done.done() and self._handler_tasks <= self._closers:
            done.set_result(None)

    # ---- For _lifetime

    def _abandon(self) -> None:
        if self._closed:
            return
        text = f"unclosed {self!r}"
        self._forget()
        try:
            self._engine.close(0)
        except FanwireError:
            pass
        warnings.warn(text, ResourceWarning, source=self)  # last, as it may be an error
