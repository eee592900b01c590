"""What carries messages in the place of the engine's own connections: a client of the application's, or another broker.

    client = redis.asyncio.Redis(...)
    async with fanwire.open(backend=client) as bus:  # or an object with the methods of Backend
        ...

    client = redis.Redis(...)
    with fanwire.Client(backend=client) as bus:  # Engine as well
        ...

Subscriptions, events, queues and their limits, requests and statistics are as always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ._backend_blocking import BlockingRedisBackend
from ._backend_redis import RedisBackend

__all__ = ["Backend", "BlockingRedisBackend", "RedisBackend", "Reports", "backend_of"]


class Reports(Protocol):
    """What a backend reports to, from any thread. What is said twice, or after close(), has no effect."""

    def ready(self) -> None:
        """It is connected, for the first time or again: what is wanted is subscribed now, and publishes are handed over."""

    def lost(self, error: BaseException) -> None:
        """The connection is lost, or could not be made. Nothing is subscribed any more."""

    def message(self, channel: bytes, payload: bytes, pattern: bytes | None = None) -> None:
        """A message, by the pattern that was subscribed or by the channel itself."""


@runtime_checkable
class Backend(Protocol):
    """What carries messages. All is called in the event loop of the bus, and for a Client or an Engine in one that runs in
    the thread "fanwire-backend", for this backend alone. Names are those on the wire, with the namespace.

    The other methods are called between ready() and lost() only; one that has not returned at lost() is cancelled. After
    lost() and ready() all is subscribed again. What a
    method raises is what the publish or the subscription fails with: a FanwireError as it is; an OSError or TimeoutError of
    publish() as OutcomeUnknownError, any other exception as RedisError.
    """

    async def start(self, reports: Reports) -> None:
        """Begins to connect and returns. Reports ready() or lost(), and again whenever that changes."""

    async def subscribe(self, name: bytes, is_pattern: bool) -> None:
        """Returns when it is confirmed: what is published from then on comes."""

    async def unsubscribe(self, name: bytes, is_pattern: bool) -> None:
        """Messages that come all the same are left out."""

    async def publish(self, channel: bytes, payload: bytes) -> int:
        """Returns how many have received it. One at a time, in their order."""

    async def numsub(self, channels: Sequence[bytes]) -> Sequence[int]:
        """Returns how many subscribers each of the channels has."""

    async def close(self) -> None:
        """The last call."""


_METHODS = ("start", "subscribe", "unsubscribe", "publish", "numsub", "close")


def backend_of(given: object) -> Backend:
    """`given` itself if it is a Backend; one over it if it is a client of redis or valkey, asyncio or blocking."""
    if isinstance(given, Backend) and not isinstance(given, type):
        return given
    for kind in (RedisBackend, BlockingRedisBackend):
        if kind.can_use(given):
            return kind(given)
    if isinstance(given, type):
        raise TypeError(f"backend must be an object, not the class {given.__module__}.{given.__qualname__}")
    if hasattr(given, "execute_command"):
        raise TypeError(
            f"{type(given).__module__}.{type(given).__name__} is not a client of redis or valkey with a connection pool"
        )
    missing = [name for name in _METHODS if not callable(getattr(given, name, None))]
    raise TypeError(f"backend must be a Backend or a client of redis or valkey, not {type(given).__name__}, which has no "
                    f"{', '.join(missing)}()")
