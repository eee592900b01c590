"""What carries messages in the place of the engine's own connections: a client of the application's, or another broker.

    client = redis.asyncio.Redis(...)
    async with fanwire.open(backend=client) as bus:  # or an object with the methods of Backend
        ...

Subscriptions, events, queues and their limits, requests and statistics are as always.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from .errors import (
    ConnectionLostError,
    FanwireError,
    NoPermissionError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    RedisError,
)

__all__ = ["Backend", "RedisBackend", "Reports", "backend_of"]


class Reports(Protocol):
    """What a backend reports to. In the event loop of the bus."""

    def ready(self) -> None:
        """It is connected, for the first time or again: what is wanted is subscribed now, and publishes are handed over."""

    def lost(self, error: BaseException) -> None:
        """The connection is lost, or could not be made. Nothing is subscribed any more."""

    def message(self, channel: bytes, payload: bytes, pattern: bytes | None = None) -> None:
        """A message, by the pattern that was subscribed or by the channel itself."""


@runtime_checkable
class Backend(Protocol):
    """What carries messages. All is called in the event loop of the bus; names are those on the wire, with the namespace.

    The other methods are called between ready() and lost() only. After lost() and ready() all is subscribed again. What a
    method raises is what the publish or the subscription fails with: a FanwireError as it is; an OSError or TimeoutError of
    publish() as OutcomeUnknownError, any other exception as RedisError.
    """

    async def start(self, reports: Reports) -> None:
        """Begins to connect and returns. Reports ready() or lost(), and again whenever that changes."""

    async def subscribe(self, name: bytes, is_pattern: bool) -> None:
        """Returns when it is confirmed: what is published from then on comes."""

    async def unsubscribe(self, name: bytes, is_pattern: bool) -> None: ...

    async def publish(self, channel: bytes, payload: bytes) -> int:
        """Returns how many have received it. One at a time, in their order."""

    async def numsub(self, channels: Sequence[bytes]) -> Sequence[int]:
        """Returns how many subscribers each of the channels has."""

    async def close(self) -> None:
        """The last call."""


_METHODS = ("start", "subscribe", "unsubscribe", "publish", "numsub", "close")


def backend_of(given: object) -> Backend:
    """`given` itself if it is a Backend; one over it if it is a client of redis.asyncio or valkey.asyncio."""
    if isinstance(given, Backend):
        return given
    if RedisBackend.can_use(given):
        return RedisBackend(given)
    if hasattr(given, "pubsub") and hasattr(given, "execute_command"):
        raise TypeError(
            f"{type(given).__module__}.{type(given).__name__} is not a client of redis.asyncio or valkey.asyncio with a "
            "connection pool: a backend works in an event loop"
        )
    missing = [name for name in _METHODS if not callable(getattr(given, name, None))]
    raise TypeError(f"backend must be a Backend or a client of redis.asyncio, not {type(given).__name__}, which has no "
                    f"{', '.join(missing)}()")


_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_CONNECT_S = 5.0  # longest that an attempt may take
_HEARTBEAT_S = 5.0  # so often a connection is asked that says nothing; twice as long without an answer, and it is lost
_BATCH = 1000  # publishes in one pipeline
_NOT_OURS = {"health_check_interval", "socket_timeout", "protocol", "retry", "retry_on_error", "retry_on_timeout"}


class RedisBackend:
    """A client of redis.asyncio or valkey.asyncio. It publishes; a connection of its pool's kind and settings subscribes.

    The client is never closed. decode_responses may be on: messages are bytes all the same.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._reports: Reports | None = None
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None
        self._awaited: deque[tuple[bytes, bytes, asyncio.Future[None]]] = deque()  # commands without an answer, in order
        self._heard = False

    @staticmethod
    def can_use(client: object) -> bool:
        pool = getattr(client, "connection_pool", None)
        connection = getattr(pool, "connection_class", None)
        return asyncio.iscoroutinefunction(getattr(connection, "read_response", None))

    async def start(self, reports: Reports) -> None:
        self._reports = reports
        self._task = asyncio.get_running_loop().create_task(self._run(reports), name="fanwire backend")

    async def subscribe(self, name: bytes, is_pattern: bool) -> None:
        await self._command(b"PSUBSCRIBE" if is_pattern else b"SUBSCRIBE", name)

    async def unsubscribe(self, name: bytes, is_pattern: bool) -> None:
        await self._command(b"PUNSUBSCRIBE" if is_pattern else b"UNSUBSCRIBE", name)

    async def publish(self, channel: bytes, payload: bytes) -> int:
        return int(await _translated(self._client.execute_command("PUBLISH", channel, payload)))

    async def publish_many(self, publishes: Sequence[tuple[bytes, bytes]]) -> list[int | BaseException]:
        """The outcome of each; what it raises is that of all."""
        pipeline = self._client.pipeline(transaction=False)
        for channel, payload in publishes:
            pipeline.execute_command("PUBLISH", channel, payload)
        answers = await _translated(pipeline.execute(raise_on_error=False))
        return [_to_error(answer) if isinstance(answer, BaseException) else int(answer) for answer in answers]

    async def numsub(self, channels: Sequence[bytes]) -> Sequence[int]:
        if not channels:
            return []
        answer = await _translated(self._client.execute_command("PUBSUB", "NUMSUB", *channels))
        counts = answer if isinstance(answer, dict) else dict(answer if _is_pairs(answer) else zip(answer[::2], answer[1::2]))
        by_name = {name.encode() if isinstance(name, str) else bytes(name): int(count) for name, count in counts.items()}
        return [by_name.get(channel, 0) for channel in channels]

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._fail_awaited(ConnectionLostError("the backend is closed"))
        await self._disconnect()

    # ---- The connection that subscribes

    async def _run(self, reports: Reports) -> None:
        failures = 0
        while True:
            error: BaseException
            try:
                async with asyncio.timeout(_CONNECT_S):
                    await self._connect()
            except TimeoutError:
                error = ConnectionLostError(f"the client could not connect within {_CONNECT_S:g} s")
            except Exception as why:
                error = _to_error(why, ConnectionLostError)
            else:
                failures = 0
                reports.ready()
                error = await self._read(reports)
            self._fail_awaited(error)
            await self._disconnect()
            reports.lost(error)
            failures += 1
            most = min(_FIRST_DELAY_S * 2 ** (failures - 1), _LONGEST_DELAY_S)
            await asyncio.sleep(most * random.uniform(0.5, 1))

    async def _connect(self) -> None:
        pool = self._client.connection_pool
        # Its settings, but for what is about commands and their answers, and about trying again, which is done here.
        settings = {name: value for name, value in pool.connection_kwargs.items() if name not in _NOT_OURS}
        connection = pool.connection_class(**settings)
        self._connection = connection
        await connection.connect()
        await self._client.execute_command("PING")  # whether publishing works, too

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.disconnect(nowait=True)

    async def _read(self, reports: Reports) -> BaseException:
        """Until the connection is lost; returns why."""
        heartbeat = asyncio.get_running_loop().create_task(self._watch(self._connection))
        try:
            while True:
                try:
                    answer = await self._connection.read_response(disable_decoding=True)
                except Exception as error:
                    if not _is_answer(error):
                        return _to_error(error, ConnectionLostError)
                    answer = error
                self._heard = True
                if (wrong := self._take(reports, answer)) is not None:
                    return wrong
        finally:
            heartbeat.cancel()

    async def _watch(self, connection: Any) -> None:
        silent = 0
        while True:
            self._heard = False
            await asyncio.sleep(_HEARTBEAT_S)
            if self._heard:
                silent = 0
                continue
            silent += 1
            with suppress(Exception):
                if silent > 2:
                    await connection.disconnect(nowait=True)  # which ends the reading
                    return
                await connection.send_command("PING", check_health=False)

    def _take(self, reports: Reports, answer: Any) -> BaseException | None:
        """Why the connection is of no use any more, if so."""
        if isinstance(answer, BaseException):
            if not self._awaited:
                return _to_error(answer)
            _, _, future = self._awaited.popleft()
            if not future.done():
                future.set_exception(_to_error(answer))
            return None
        match answer:
            case [b"message", channel, payload]:
                reports.message(channel, payload)
            case [b"pmessage", pattern, channel, payload]:
                reports.message(channel, payload, pattern)
            case [b"pong", *_] | b"PONG":
                pass
            case [kind, name, _] if self._awaited and self._awaited[0][:2] == (kind, name):
                future = self._awaited.popleft()[2]
                if not future.done():
                    future.set_result(None)
            case _:
                return ProtocolError(f"the server said {answer!r:.100}, which is no answer to what it was asked")
        return None

    async def _command(self, command: bytes, name: bytes) -> None:
        connection = self._connection
        if connection is None:
            raise NotConnectedError("the backend is not connected")
        future = asyncio.get_running_loop().create_future()
        self._awaited.append((command.lower(), name, future))
        try:
            await connection.send_command(command, name, check_health=False)
        except Exception as error:  # the reader hears of it, too, and fails what is awaited
            raise _to_error(error, ConnectionLostError) from error
        await future

    def _fail_awaited(self, error: BaseException) -> None:
        while self._awaited:
            future = self._awaited.popleft()[2]
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits for it sees it


def _names_of(error: BaseException) -> set[str]:
    return {cls.__name__ for cls in type(error).__mro__}


def _is_answer(error: BaseException) -> bool:
    """Whether it is an error that the server has answered."""
    return "ResponseError" in _names_of(error) and not isinstance(error, OSError)


def _is_pairs(answer: Any) -> bool:
    return bool(answer) and isinstance(answer[0], (list, tuple))


def _to_error(error: BaseException, otherwise: type[FanwireError] = OutcomeUnknownError) -> FanwireError:
    if isinstance(error, FanwireError):
        return error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if "NoPermissionError" in _names_of(error):
        return NoPermissionError(text)
    return RedisError(text) if _is_answer(error) else otherwise(text)


async def _translated(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except Exception as error:
        raise _to_error(error) from error


class Driver:
    """Between an engine and a backend: does what the engine asks, in order, and reports what becomes of it."""

    def __init__(self, backend: Backend, native: Any, loop: asyncio.AbstractEventLoop,
                 report: Callable[[BaseException, str], None]) -> None:
        self._backend = backend
        self._native = native
        self._loop = loop
        self._report = report
        self._generation = 0  # of the connection: what was asked on one that is lost is not reported
        self._is_ready = False
        self._subscribing: dict[tuple[bytes, bool], deque[bool]] = {}  # what is to be done for each name, in order
        self._publishing: deque[tuple[int, bytes, bytes]] = deque()
        self._publisher: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Future[None] = loop.create_future()
        loop.add_reader(native.fileno(), self._on_readable)

    # ---- Reports

    def ready(self) -> None:
        if not self._closed.done() and not self._is_ready:
            self._is_ready = True
            self._native.ready()

    def lost(self, error: BaseException) -> None:
        if self._closed.done():
            return
        self._generation += 1
        self._is_ready = False
        self._subscribing.clear()
        self._publishing.clear()
        why = _to_error(error, ConnectionLostError)
        self._native.lost(why.status, str(why))

    def message(self, channel: bytes, payload: bytes, pattern: bytes | None = None) -> None:
        if self._is_ready:
            self._native.message(pattern is not None, channel if pattern is None else pattern, channel, payload)

    # ---- Calls

    async def closed(self, timeout: float) -> None:
        """Waits until the backend is closed, or the time is over."""
        await asyncio.wait([self._closed], timeout=timeout)
        if not self._closed.done():
            self._end()

    def _on_readable(self) -> None:
        calls, is_complete = self._native.take()
        for name, *arguments in calls:
            getattr(self, f"_on_{name}")(*arguments)
        if not is_complete and self._is_ready:  # what it does not know of is asked for again
            self.lost(ConnectionLostError("there was no memory for what the engine asked"))
            self.ready()

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_start(self) -> None:
        self._start(self._begin())

    async def _begin(self) -> None:
        try:
            await self._backend.start(self)
        except Exception as error:
            self.lost(error)

    def _on_reconnect(self) -> None:
        pass  # it tries by itself

    def _on_subscribe(self, name: bytes, is_pattern: bool) -> None:
        self._change(name, is_pattern, True)

    def _on_unsubscribe(self, name: bytes, is_pattern: bool) -> None:
        self._change(name, is_pattern, False)

    def _change(self, name: bytes, is_pattern: bool, is_wanted: bool) -> None:
        if not self._is_ready:
            return
        waiting = self._subscribing.get((name, is_pattern))
        if waiting is not None:
            waiting.append(is_wanted)
            return
        waiting = self._subscribing[name, is_pattern] = deque([is_wanted])
        self._start(self._bring(name, is_pattern, waiting, self._generation))

    async def _bring(self, name: bytes, is_pattern: bool, waiting: deque[bool], generation: int) -> None:
        """One after the other for each name, so that the last wish wins."""
        while waiting and generation == self._generation:
            is_wanted = waiting.popleft()
            try:
                if is_wanted:
                    await self._backend.subscribe(name, is_pattern)
                else:
                    await self._backend.unsubscribe(name, is_pattern)
            except Exception as error:
                if generation == self._generation and is_wanted:
                    why = _to_error(error, RedisError)
                    self._native.refused(is_pattern, name, why.status, str(why))
                continue
            if generation == self._generation and is_wanted:
                self._native.confirmed(is_pattern, name)
        if self._subscribing.get((name, is_pattern)) is waiting:
            del self._subscribing[name, is_pattern]

    def _on_publish(self, id: int, channel: bytes, payload: bytes) -> None:
        if not self._is_ready:
            return  # the engine knows that the connection was lost
        self._publishing.append((id, channel, payload))
        if self._publisher is None:
            self._publisher = self._loop.create_task(self._publish())

    async def _publish(self) -> None:
        many = getattr(self._backend, "publish_many", None)
        try:
            while self._publishing:
                generation = self._generation
                batch = [self._publishing.popleft() for _ in range(min(len(self._publishing), _BATCH if many else 1))]
                outcomes: Sequence[int | BaseException]
                try:
                    if many is not None and len(batch) > 1:
                        outcomes = await many([(channel, payload) for _, channel, payload in batch])
                    else:
                        outcomes = [await self._backend.publish(channel, payload) for _, channel, payload in batch]
                except Exception as error:
                    outcomes = [error] * len(batch)
                if generation == self._generation:
                    for (id, _, _), outcome in zip(batch, outcomes, strict=True):
                        self._settle(id, outcome)
        finally:
            self._publisher = None

    def _settle(self, id: int, outcome: int | BaseException) -> None:
        if isinstance(outcome, BaseException):
            unknown = isinstance(outcome, (OSError, TimeoutError))
            error = _to_error(outcome, OutcomeUnknownError if unknown else RedisError)
            self._native.settled(id, error.status, str(error), 0)
        else:
            self._native.settled(id, 0, "", outcome)

    def _on_numsub(self, id: int, channels: list[bytes]) -> None:
        if self._is_ready:
            self._start(self._count(id, channels, self._generation))

    async def _count(self, id: int, channels: list[bytes], generation: int) -> None:
        try:
            counts = [int(count) for count in await self._backend.numsub(channels)]
        except Exception as error:
            why = _to_error(error, RedisError)
            if generation == self._generation:
                self._native.counted(id, why.status, str(why), [])
            return
        if generation == self._generation:
            self._native.counted(id, 0, "", counts)

    def _on_close(self) -> None:
        self._is_ready = False
        self._start(self._close())

    async def _close(self) -> None:
        try:
            await self._backend.close()
        except Exception as error:
            self._report(error, "a fanwire backend failed to close")
        finally:
            self._end()

    def _end(self) -> None:
        if self._closed.done():
            return
        self._closed.set_result(None)
        self._loop.remove_reader(self._native.fileno())
        current = asyncio.current_task()
        for task in [*self._tasks, self._publisher]:
            if task is not None and task is not current:
                task.cancel()
