"""Between an engine and a backend."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import _native
from ._backend_errors import is_failure, to_error
from .errors import ConnectionLostError, FanwireError, OutcomeUnknownError, RedisError, TimeoutError

if TYPE_CHECKING:
    from .backends import Backend

_BATCH = 1000  # publishes in one call of publish_many()
_MOST = 2**64 - 1  # that can be counted
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class _Wish:
    """For a channel or pattern: what is being done, and what is to be done next, if that is something else."""

    def __init__(self, is_wanted: bool) -> None:
        self.doing: bool | None = None
        self.next: bool | None = is_wanted


class _Connection:
    """What is under way between one ready() and the next lost(). What was asked before is not reported afterwards."""

    def __init__(self) -> None:
        self.wishes: dict[tuple[bytes, bool], _Wish] = {}  # of the names at work
        self.publishes: deque[tuple[int, bytes, bytes]] = deque()
        self.bytes = 0  # of these
        self.is_publishing = False
        self.tasks: set[asyncio.Task[None]] = set()

    def cancel(self) -> None:
        """Whatever still waits for an answer, which may never come. But not the task that reports the loss."""
        current = asyncio.current_task()
        for task in self.tasks:
            if task is not current:
                task.cancel()


class Driver:
    """Does what the engine asks, in order, and reports what becomes of it.

    A backend is somebody else's code: it may raise anything, return nonsense, never return, and report twice, too late or
    from another thread. None of it may stop the others, lose an outcome or fill the memory.
    """

    def __init__(
        self,
        backend: Backend,
        native: _native.Broker,
        loop: asyncio.AbstractEventLoop,
        options: _native.Options,
    ) -> None:
        self._backend = backend
        self.name = name_of(backend)
        self._native = native
        self._loop = loop
        self._limit = _to_bytes(options.get("publish_buffer_bytes"))
        self._thread = threading.get_ident()
        self._lock = threading.Lock()  # for ready() and lost(), which any thread may call
        self._connection: _Connection | None = None  # None: it is not ready
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()  # of start() and close()
        self._closed: asyncio.Future[None] = loop.create_future()
        loop.add_reader(native.fileno(), self._on_readable)

    # ---- Reports, from any thread

    def ready(self) -> None:
        with self._lock:
            if self._connection is None and not self._is_closing:
                self._connection = _Connection()
                self._native.ready()

    def lost(self, error: BaseException) -> None:
        why = to_error(error, ConnectionLostError)
        with self._lock:
            if self._is_closing:
                return
            connection, self._connection = self._connection, None
            self._native.lost(why.status, str(why))
        if connection is None or self._loop.is_closed():  # and with it all that waited in it
            return
        if threading.get_ident() == self._thread:
            connection.cancel()
        else:
            with suppress(RuntimeError):  # it is closed now
                self._loop.call_soon_threadsafe(connection.cancel)

    def message(self, channel: bytes, payload: bytes, pattern: bytes | None = None) -> None:
        if self._connection is not None:
            self._native.message(pattern is not None, channel if pattern is None else pattern, channel, payload)

    # ---- Calls

    async def closed(self, timeout: float) -> None:
        """Waits until the backend is closed, or the time is over."""
        await asyncio.wait([self._closed], timeout=timeout)
        self.end()

    async def done(self) -> None:
        """Waits until the backend is closed, however long that takes."""
        await asyncio.wait([self._closed])

    def _on_readable(self) -> None:
        calls, is_complete = self._native.take()
        for name, *arguments in calls:
            getattr(self, f"_on_{name}")(*arguments)
        if not is_complete and self._connection is not None:  # what it does not know of is asked for again
            self.lost(ConnectionLostError("there was no memory for what the engine asked"))
            self.ready()

    def _start(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work, name="fanwire backend")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _on_start(self) -> None:
        self._start(self._begin(), self._tasks)

    async def _begin(self) -> None:
        try:
            await self._backend.start(self)
        except BaseException as error:
            if not is_failure(error):
                raise
            self.lost(error)

    def _on_reconnect(self) -> None:
        pass  # it tries by itself

    # ---- Subscriptions

    def _on_subscribe(self, name: bytes, is_pattern: bool) -> None:
        self._wish(name, is_pattern, True)

    def _on_unsubscribe(self, name: bytes, is_pattern: bool) -> None:
        self._wish(name, is_pattern, False)

    def _wish(self, name: bytes, is_pattern: bool, is_wanted: bool) -> None:
        connection = self._connection
        if connection is None:
            return
        wish = connection.wishes.get((name, is_pattern))
        if wish is None:
            wish = connection.wishes[name, is_pattern] = _Wish(is_wanted)
            self._start(self._bring(connection, name, is_pattern, wish), connection.tasks)
        else:
            wish.next = None if is_wanted == wish.doing else is_wanted

    async def _bring(self, connection: _Connection, name: bytes, is_pattern: bool, wish: _Wish) -> None:
        """One after the other for each name, so that the last wish wins."""
        while wish.next is not None and connection is self._connection:
            is_wanted = wish.doing = wish.next
            wish.next = None
            error = None
            try:
                if is_wanted:
                    await self._backend.subscribe(name, is_pattern)
                else:
                    await self._backend.unsubscribe(name, is_pattern)
            except BaseException as raised:
                if not is_failure(raised):
                    raise
                error = to_error(raised, RedisError)
            if not is_wanted or connection is not self._connection:
                continue
            if error is None:
                self._native.confirmed(is_pattern, name)
            else:
                self._native.refused(is_pattern, name, error.status, str(error))
        connection.wishes.pop((name, is_pattern), None)

    # ---- Publishes

    def _on_publish(self, id: int, channel: bytes, payload: bytes) -> None:
        connection = self._connection
        if connection is None:
            return  # the engine knows that the connection was lost
        connection.publishes.append((id, channel, payload))
        connection.bytes += len(channel) + len(payload)
        # The engine accepts no more than that without an outcome, so the time of the first ones is over.
        while connection.bytes > self._limit and len(connection.publishes) > 1:
            self._settle(self._take(connection)[0], TimeoutError("not sent in time: the backend is busy with others"))
        if not connection.is_publishing:
            connection.is_publishing = True
            self._start(self._publish(connection), connection.tasks)

    @staticmethod
    def _take(connection: _Connection) -> tuple[int, bytes, bytes]:
        publish = connection.publishes.popleft()
        connection.bytes -= len(publish[1]) + len(publish[2])
        return publish

    async def _publish(self, connection: _Connection) -> None:
        many = getattr(self._backend, "publish_many", None)
        while connection.publishes and connection is self._connection:
            size = min(len(connection.publishes), _BATCH) if many else 1
            batch = [self._take(connection) for _ in range(size)]
            outcomes: Sequence[object]
            try:
                if many is not None and len(batch) > 1:
                    outcomes = list(await many([(channel, payload) for _, channel, payload in batch]))
                    if len(outcomes) != len(batch):
                        text = f"publish_many() returned {len(outcomes)} outcomes of {len(batch)} publishes"
                        outcomes = [OutcomeUnknownError(text)] * len(batch)
                else:
                    outcomes = [await self._backend.publish(channel, payload) for _, channel, payload in batch]
            except BaseException as error:
                if not is_failure(error):
                    raise
                outcomes = [error] * len(batch)
            if connection is self._connection:
                for (id, _, _), outcome in zip(batch, outcomes, strict=True):
                    self._settle(id, outcome)
        connection.is_publishing = False

    def _settle(self, id: int, outcome: object) -> None:
        if isinstance(outcome, int) and 0 <= outcome <= _MOST:
            self._native.settled(id, 0, "", outcome)
            return
        error: FanwireError
        if isinstance(outcome, BaseException):
            unknown = isinstance(outcome, (OSError, asyncio.CancelledError))  # that a TimeoutError is, too
            error = to_error(outcome, OutcomeUnknownError if unknown else RedisError)
        else:
            error = OutcomeUnknownError(f"publish() returned {outcome!r:.100}, which is no number of receivers")
        self._native.settled(id, error.status, str(error), 0)

    # ---- Counting

    def _on_numsub(self, id: int, channels: list[bytes]) -> None:
        connection = self._connection
        if connection is not None:
            self._start(self._count(connection, id, channels), connection.tasks)

    async def _count(self, connection: _Connection, id: int, channels: list[bytes]) -> None:
        counts: list[int] = []
        error: FanwireError | None = None
        try:
            counts = [int(count) for count in await self._backend.numsub(channels)]
            if not all(0 <= count <= _MOST for count in counts):
                error = RedisError(f"numsub() returned {counts!r:.100}, of which not all are numbers of subscribers")
        except BaseException as raised:
            if not is_failure(raised):
                raise
            error = to_error(raised, RedisError)
        if connection is not self._connection:
            return
        if error is None:
            self._native.counted(id, 0, "", counts)
        else:
            self._native.counted(id, error.status, str(error), [])

    # ---- Closing

    def _on_close(self) -> None:
        with self._lock:
            self._is_closing = True
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.cancel()
        self._start(self._close(), self._tasks)

    async def _close(self) -> None:
        try:
            await self._backend.close()
        except BaseException as error:
            if not is_failure(error):
                raise
            self._loop.call_exception_handler({"message": "a fanwire backend failed to close", "exception": error})
        finally:
            self.end()

    def end(self) -> None:
        """Waits no longer for the backend."""
        if self._closed.done():
            return
        self._closed.set_result(None)
        self._loop.remove_reader(self._native.fileno())
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()


def name_of(backend: Backend) -> str:
    """For texts."""
    return f"over {type(backend).__name__}"


def _to_bytes(size: str) -> int:
    """The bytes that a size of the settings is: "64MiB"."""
    number, unit = re.fullmatch(r"(\d+)(\w*)", size).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]
