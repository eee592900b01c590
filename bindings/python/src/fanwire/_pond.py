"""The errors and the protocol of PondSocket's pub/sub, for programs without the package pondsocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

PubSubHandler = Callable[[str, bytes], Awaitable[None]]


@runtime_checkable
class PubSub(Protocol):
    """What PondSocket wants of a pub/sub."""

    async def subscribe(self, pattern: str, handler: PubSubHandler) -> None:
        """Has the handler awaited with topic and payload of each message."""

    async def unsubscribe(self, pattern: str) -> None:
        """Ends it. A pattern that is not subscribed is a PondError."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Sends a payload to all handlers of the topic, in all processes."""

    async def close(self) -> None:
        """Ends all. Afterwards everything raises PubSubClosedError."""


class PubSubClosedError(Exception):
    """The pub/sub was closed."""

    def __init__(self) -> None:
        super().__init__("pubsub: closed")


class PondError(Exception):
    """What PondSocket raises, with a code like those of HTTP."""

    def __init__(
        self,
        message: str,
        code: int,
        *,
        channel_name: str = "",
        temporary: bool = False,
        details: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
    ) -> None:
        if code < 100:
            raise ValueError(f"PondError code must be >= 100, got {code}")
        where = f"Error in Channel {channel_name}: " if channel_name else ""
        super().__init__(f"{where}{message} (code: {code})")
        self.message = message
        self.code = code
        self.channel_name = channel_name
        self.temporary = temporary
        self.details = details
        self.cause = cause
        if cause is not None:
            self.__cause__ = cause


def match_topic(pattern: str, topic: str) -> bool:
    """Whether a topic is the pattern, or begins with what stands before the pattern's `.*` at its end."""
    prefix = prefix_of(pattern)
    return pattern == topic or (prefix is not None and topic.startswith(prefix))


def prefix_of(pattern: str) -> str | None:
    """What its topics begin with; None when it is a topic itself, as `.*` alone is."""
    return pattern[:-2] if len(pattern) > 2 and pattern.endswith(".*") else None
