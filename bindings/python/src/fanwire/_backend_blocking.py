"""A blocking client of redis or valkey as a backend."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from . import _native
from ._backend_errors import is_answer, to_error
from ._backend_redis import HEARTBEAT_S, RedisBackend, is_client
from ._threads import block_signals
from .errors import ConnectionLostError

if TYPE_CHECKING:
    from .backends import Reports

_POLL_S = 0.02  # the pause between two looks at what cannot be waited for


class BlockingRedisBackend(RedisBackend):
    """A client of redis or valkey with blocking calls, as RedisBackend is one of their asyncio clients.

    Two threads wait for it: "fanwire-backend-calls" publishes, in order, and "fanwire-backend-reads" has the connection that
    subscribes. Other threads may use the client meanwhile. Give it a `socket_timeout`: a call that never returns holds up
    publishing, also after the connection was made again.
    """

    # Messages are waited for outside of it, so this is for the rest of one that has begun to come.
    _of_connections = {"protocol": 2, "socket_timeout": 2 * HEARTBEAT_S, "health_check_interval": 0}

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._reader: _Reader | None = None

    @staticmethod
    def can_use(client: object) -> bool:
        """Whether it is a client with blocking calls, with a connection pool or of a cluster."""
        if not is_client(client) or asyncio.iscoroutinefunction(getattr(client, "execute_command", None)):
            return False
        if hasattr(client, "nodes_manager"):
            return hasattr(client, "get_redis_connection")
        connection = getattr(getattr(client, "connection_pool", None), "connection_class", None)
        read = getattr(connection, "read_response", None)
        return callable(read) and not asyncio.iscoroutinefunction(read) and hasattr(connection, "can_read")

    async def start(self, reports: Reports) -> None:
        """As RedisBackend does."""
        await super().start(reports)
        threading.Thread(target=_make_calls, args=(self._calls,), name="fanwire-backend-calls", daemon=True).start()

    async def close(self) -> None:
        """Ends the connection that subscribes, and the threads. The client stays open."""
        reader = self._reader
        await super().close()
        self._calls.put(None)
        if reader is not None:
            await reader.ended

    async def release(self) -> None:
        """Its connections are of no event loop."""

    async def _call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        call = _Call(lambda: function(*arguments, **keywords))
        self._calls.put(call)
        return await call.outcome

    async def _learn_nodes(self) -> None:
        await self._call(self._client.nodes_manager.initialize)

    def _origin_of(self, node: Any) -> Any:
        return self._client.get_redis_connection(node).connection_pool

    async def _send(self, connection: Any, *command: bytes) -> None:
        if self._reader is None:
            raise ConnectionLostError("the connection is lost")
        self._reader.send(command)

    async def _read(self, reports: Reports) -> BaseException:
        reader = self._reader = _Reader(self._connection, reports)
        threading.Thread(target=reader.run, name="fanwire-backend-reads", daemon=True).start()
        try:
            while True:
                for answer in await reader.answers():
                    if (wrong := self._take(reports, answer)) is not None:
                        return wrong
        except Exception as error:
            return to_error(error, ConnectionLostError)
        finally:
            self._reader = None
            reader.stop()

    async def _disconnect(self) -> None:
        self._connection = None  # whoever has it last closes it


class _Call:
    """One call in the thread, and the future that waits for it in the event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Any] = self._loop.create_future()

    def make(self) -> None:
        if self.outcome.cancelled():
            return
        result, error = None, None
        try:
            result = self._function()
        except BaseException as raised:  # this thread is nobody's to end
            error = raised
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.outcome.done():
            return
        if error is None:
            self.outcome.set_result(result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.outcome.set_exception(error)
        else:
            self.outcome.set_exception(RuntimeError(f"the client raised {error!r}"))


def _make_calls(calls: SimpleQueue[_Call | None]) -> None:
    block_signals()
    while (call := calls.get()) is not None:
        call.make()
        del call


class _Reader:
    """The thread that has the connection, and is the only one to use it: sockets with TLS are not for two at a time."""

    def __init__(self, connection: Any, reports: Reports) -> None:
        self._connection = connection
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._waker = _native.Waker()
        self._commands: deque[tuple[bytes, ...]] = deque()
        self._stopping = False
        self._lock = threading.Lock()  # for the next two
        self._answers: list[Any] = []
        self._error: BaseException | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    # ---- In the event loop

    def send(self, command: tuple[bytes, ...]) -> None:
        self._commands.append(command)
        self._waker.ring()

    async def answers(self) -> list[Any]:
        """Whatever has come and is no message. Raises why nothing comes any more."""
        while True:
            self._waiting = self._loop.create_future()
            with self._lock:
                answers, self._answers = self._answers, []
                error = self._error
            if answers:
                return answers
            if error is not None:
                raise error
            await self._waiting

    def stop(self) -> None:
        self._stopping = True
        self._waker.ring()

    # ---- In the thread

    def run(self) -> None:
        block_signals()
        error: BaseException = ConnectionLostError("the backend is closed")
        try:
            self._read()
        except BaseException as raised:  # this thread is nobody's to end
            error = raised if isinstance(raised, Exception) else RuntimeError(f"the client raised {raised!r}")
        with suppress(Exception):
            self._connection.disconnect()
        with self._lock:
            self._error = error
        self._wake()

    def _read(self) -> None:
        connection, commands = self._connection, self._commands
        silent = 0
        while not self._stopping:
            while commands:
                connection.send_command(*commands.popleft(), check_health=False)
            if connection.can_read(timeout=0):
                silent = 0
                self._take_one(connection)
                continue
            if self._wait(getattr(connection, "_sock", None)):
                continue
            silent += 1
            if silent > 2:
                raise ConnectionLostError(f"the server has said nothing for {silent * HEARTBEAT_S:g} s, not even to PING")
            commands.append((b"PING",))

    def _take_one(self, connection: Any) -> None:
        try:
            answer = connection.read_response(disable_decoding=True)
        except Exception as error:
            if not is_answer(error):
                raise
            answer = error
        match answer:
            case [b"message", channel, payload]:
                self._reports.message(channel, payload)
            case [b"pmessage", pattern, channel, payload]:
                self._reports.message(channel, payload, pattern)
            case _:
                with self._lock:
                    self._answers.append(answer)
                    is_first = len(self._answers) == 1
                if is_first:
                    self._wake()

    def _wait(self, its_socket: Any) -> bool:
        """Until something can be read or is to be sent; False after some time without either."""
        if not isinstance(its_socket, socket.socket):
            for _ in range(int(HEARTBEAT_S / _POLL_S)):
                if self._commands or self._stopping or self._connection.can_read(timeout=_POLL_S):
                    return True
            return False
        poll = select.poll()
        poll.register(its_socket, select.POLLIN)
        poll.register(self._waker.fileno(), select.POLLIN)
        is_ready = bool(poll.poll(HEARTBEAT_S * 1000))
        self._waker.take()
        return is_ready

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        if self._error is not None and not self.ended.done():
            self.ended.set_result(None)
