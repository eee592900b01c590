"""What became of a bus's first attempt to connect."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from . import _native
from ._loops import check_loop
from ._subscription import again
from .errors import FanwireError


class Opened:
    """Awaitable, any number of times: done when the first attempt to connect has succeeded; raises why it failed.

    Nobody has to await it: a failure that nobody looks at is no warning.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done = False
        self._error: FanwireError | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        check_loop(self._loop)
        if not self._done:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        if self._error is not None:
            raise again(self._error)

    def _settle(self, error: FanwireError | None) -> None:
        """The outcome; only the first one counts."""
        if self._done:
            return
        self._done = True
        self._error = error
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class SharedOpened(Opened):
    """Of a bus of an Engine, whose events it does not hear: asks the engine itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: _native.Engine) -> None:
        super().__init__(loop)
        self._engine = engine

    async def _wait(self) -> None:
        check_loop(self._loop)
        if not self._engine.connected():
            await asyncio.to_thread(self._engine.wait_connected, _native.FOREVER)
