"""Publishing and waiting for the outcome as a greenlet does."""

from __future__ import annotations

from typing import Protocol

from . import _native
from ._green import wait_readable

Payload = str | bytes | bytearray | memoryview


class Outcomes(Protocol):
    """What publishes for one thread, or greenlet, at a time."""

    def publish(self, engine: _native.Engine, channel: str | bytes, value: Payload, timeout_ms: int, /) -> int: ...
    def numsub(self, engine: _native.Engine, channels: list[str | bytes], /) -> list[int]: ...


class GreenOutcomes:
    def __init__(self) -> None:
        self._waker = _native.Waker()
        self._native = _native.Outcomes(self._waker)

    def publish(self, engine: _native.Engine, channel: str | bytes, value: Payload, timeout_ms: int, /) -> int:
        self._native.start(engine, channel, value, timeout_ms)
        while (receivers := self._native.poll()) is None:
            wait_readable(self._waker.fileno(), None)
            self._waker.take()
        return receivers

    def numsub(self, engine: _native.Engine, channels: list[str | bytes], /) -> list[int]:
        self._native.start_numsub(engine, channels)
        while (numbers := self._native.poll_numsub()) is None:
            wait_readable(self._waker.fileno(), None)
            self._waker.take()
        return numbers
