"""Publishing and waiting for the outcome as a greenlet does."""

from __future__ import annotations

import time
from typing import Protocol

from . import _native
from ._green import wait_readable

Payload = str | bytes | bytearray | memoryview


class Outcomes(Protocol):
    """What publishes for one thread, or greenlet, at a time."""

    def publish(
        self, engine: _native.Engine, channel: str | bytes, value: Payload, timeout_ms: int, /
    ) -> int | None:
        """The number of receivers; None when the time was over before it was known."""


class GreenOutcomes:
    def __init__(self) -> None:
        self._waker = _native.Waker()
        self._native = _native.Outcomes(self._waker)

    def publish(self, engine: _native.Engine, channel: str | bytes, value: Payload, timeout_ms: int, /) -> int | None:
        deadline = None if timeout_ms == _native.FOREVER else time.monotonic() + timeout_ms / 1000
        self._native.start(engine, channel, value)
        while (receivers := self._native.poll()) is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if left == 0:
                return None
            wait_readable(self._waker.fileno(), left)
            self._waker.take()
        return receivers
