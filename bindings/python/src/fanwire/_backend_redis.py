"""A client of redis.asyncio or valkey.asyncio as a backend. Blocking clients are in _backend_blocking."""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ._backend_errors import is_answer, names_of, to_error, translated
from .errors import ConnectionLostError, InvalidArgumentError, NotConnectedError, ProtocolError

if TYPE_CHECKING:
    from .backends import Reports

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 30.0
_CONNECT_S = 5.0  # longest that an attempt may take
HEARTBEAT_S = 5.0  # a connection that is silent this long is sent a PING; silent twice as long, it is lost
# What the connection that subscribes has of its own: a read that waits for messages has no limit (the heartbeat sees to it),
# and messages come as answers, not as pushes of RESP3.
_OURS = {"protocol": 2, "socket_timeout": None, "health_check_interval": 0}
# Trying again is done here; and these are of the pool, or of RESP3 alone.
_NOT_OURS = re.compile(r"retry|retry_on_error|retry_on_timeout|maint\w*|orig_\w*|oss_cluster\w*|himport\w*")


class RedisBackend:
    """A client of redis.asyncio or valkey.asyncio. It publishes; a connection of the same kind and settings subscribes.

    The client is never closed. decode_responses may be on: messages are bytes all the same. The client of a cluster
    publishes to the node that the connection is to, so that the order is kept; another one takes its place when it fails.
    How many have received a message is what that node knows of. A client that is set to try commands again may publish
    a message twice.
    """

    _of_connections: Mapping[str, Any] = _OURS

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_cluster = hasattr(client, "nodes_manager")
        self._target: dict[str, Any] = {}  # the node of a cluster, as an argument of commands
        self._tried = ""  # its name
        self._reports: Reports | None = None
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None
        self._awaited: deque[tuple[bytes, bytes, asyncio.Future[None]]] = deque()  # commands without an answer, in order
        self._heard = False

    @staticmethod
    def can_use(client: object) -> bool:
        """Whether it is a client that works in an event loop, with a connection pool or of a cluster."""
        if not is_client(client):
            return False
        pool = getattr(client, "connection_pool", None)
        connection = getattr(pool, "connection_class", None)
        return asyncio.iscoroutinefunction(getattr(connection, "read_response", None)) or _is_cluster(client)

    async def start(self, reports: Reports) -> None:
        """Connects in the background, and again whenever the connection is lost: after 0.1 s, then less and less often, at
        least every 30 s."""
        if self._task is not None:
            raise InvalidArgumentError("the backend is in use by another bus: make one for each, of the same client")
        self._reports = reports
        self._task = asyncio.get_running_loop().create_task(self._run(reports), name="fanwire backend")

    async def subscribe(self, name: bytes, is_pattern: bool) -> None:
        """Returns when Redis has confirmed it. Raises NoPermissionError, RedisError or ConnectionLostError."""
        await self._command(b"PSUBSCRIBE" if is_pattern else b"SUBSCRIBE", name)

    async def unsubscribe(self, name: bytes, is_pattern: bool) -> None:
        """Returns when Redis has confirmed it. Raises as subscribe() does."""
        await self._command(b"PUNSUBSCRIBE" if is_pattern else b"UNSUBSCRIBE", name)

    async def publish(self, channel: bytes, payload: bytes) -> int:
        """Returns the number of receivers as Redis counts them. Raises NoPermissionError or RedisError; OutcomeUnknownError
        when the client's connection broke."""
        execute = self._client.execute_command
        return int(await translated(self._call(execute, "PUBLISH", channel, payload, **self._target)))

    async def publish_many(self, publishes: Sequence[tuple[bytes, bytes]]) -> list[int | BaseException]:
        """The outcome of each; what it raises is that of all."""
        pipeline = self._client.pipeline(transaction=False)
        for channel, payload in publishes:
            pipeline.execute_command("PUBLISH", channel, payload, **self._target)
        answers = await translated(self._call(pipeline.execute, raise_on_error=False))
        return [to_error(answer) if isinstance(answer, BaseException) else int(answer) for answer in answers]

    async def numsub(self, channels: Sequence[bytes]) -> Sequence[int]:
        """Returns how many subscribers Redis counts for each channel; in a cluster those of all nodes."""
        if not channels:
            return []
        targets = [{"target_nodes": node} for node in self._client.get_nodes()] if self._is_cluster else [{}]
        ask = self._client.execute_command
        answers = await asyncio.gather(
            *(translated(self._call(ask, "PUBSUB", "NUMSUB", *channels, **target)) for target in targets)
        )
        total = dict.fromkeys(channels, 0)
        for answer in answers:
            for name, count in _to_pairs(answer):
                total[name.encode() if isinstance(name, str) else bytes(name)] += int(count)
        return [total[channel] for channel in channels]

    async def close(self) -> None:
        """Ends the connection that subscribes. The client stays open."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._fail_awaited(ConnectionLostError("the backend is closed"))
        await self._disconnect()

    async def release(self) -> None:
        """The event loop ends: the connections of the client, which work in no other one, go with it."""
        close = getattr(self._client, "aclose", None) or self._client.close  # redis-py 5.0.0 and older valkey
        await close()

    # ---- What differs for blocking clients

    async def _call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Calls the client, or what is of it."""
        return await function(*arguments, **keywords)

    async def _learn_nodes(self) -> None:
        await self._client.initialize()

    def _origin_of(self, node: Any) -> Any:
        """What has the class and the settings of connections to a node of a cluster."""
        return node

    async def _send(self, connection: Any, *command: bytes) -> None:
        await connection.send_command(*command, check_health=False)

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
                error = to_error(why, ConnectionLostError)
                if isinstance(why, RuntimeError) and "different loop" in str(why):
                    error = ConnectionLostError("the client has connections of another event loop: use one for each loop")
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
        if self._is_cluster:
            await self._learn_nodes()
            nodes = self._client.get_primaries() or self._client.get_nodes()
            others = [node for node in nodes if node.name != self._tried]  # which has failed, should there be another one
            node = random.choice(others or nodes)
            self._tried = node.name
            self._target = {"target_nodes": node}
            await self._call(self._client.execute_command, "PING", **self._target)  # if it fails, the client learns others
            origin = self._origin_of(node)
        else:
            origin = self._client.connection_pool
        kept = {name: value for name, value in origin.connection_kwargs.items() if not _NOT_OURS.fullmatch(name)}
        connection = origin.connection_class(**kept | dict(self._of_connections))
        self._connection = connection
        await self._call(connection.connect)
        if not self._is_cluster:
            await self._call(self._client.execute_command, "PING")  # whether publishing works, too

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
                    if not is_answer(error):
                        return to_error(error, ConnectionLostError)
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
            await asyncio.sleep(HEARTBEAT_S)
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
                return to_error(answer)
            _, _, future = self._awaited.popleft()
            if not future.done():
                future.set_exception(to_error(answer))
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
            await self._send(connection, command, name)
        except Exception as error:  # the reader hears of it, too, and fails what is awaited
            raise to_error(error, ConnectionLostError) from error
        await future

    def _fail_awaited(self, error: BaseException) -> None:
        while self._awaited:
            future = self._awaited.popleft()[2]
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits for it sees it


def is_client(given: object) -> bool:
    """Whether it has what clients have, and is no class, nor a pipeline, which executes nothing at once."""
    # The client of a cluster has no pubsub() in asyncio.
    if isinstance(given, type) or not (callable(getattr(given, "pubsub", None)) or hasattr(given, "nodes_manager")):
        return False
    return callable(getattr(given, "execute_command", None)) and not {"Pipeline", "ClusterPipeline"} & names_of(given)


def _is_cluster(client: object) -> bool:
    return hasattr(client, "nodes_manager") and asyncio.iscoroutinefunction(getattr(client, "execute_command", None))


def _to_pairs(answer: Any) -> Iterable[tuple[str | bytes, int]]:
    """An answer of NUMSUB: flat, in pairs, or a map, by the protocol and the client."""
    if isinstance(answer, dict):
        return answer.items()
    if answer and isinstance(answer[0], (list, tuple)):
        return [(name, count) for name, count in answer]
    return zip(answer[::2], answer[1::2], strict=True)
