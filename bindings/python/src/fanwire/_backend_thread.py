"""The thread of a backend for those that have no event loop: Client and Engine."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from . import _native
from ._backend_driver import Driver, name_of
from ._backend_redis import RedisBackend
from ._log import log
from .errors import InternalError

if TYPE_CHECKING:
    from .backends import Backend


class BackendThread:
    """Runs an event loop for the backend alone, from start() until the engine has closed it.

    It keeps no client alive: one that is forgotten closes its engine, and that ends this.
    """

    def __init__(self, backend: Backend, options: _native.Options) -> None:
        self._backend = backend
        self.name = name_of(backend)
        self._options = options
        self._native = _native.Broker()
        self._native.attach(options)
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="fanwire-backend", daemon=True)

    def start(self) -> None:
        """What the engine has asked by now waits for it."""
        self._thread.start()

    def detach(self) -> None:
        """There is no engine after all."""
        self._native.detach()

    def stop(self, timeout: float) -> None:
        """Once the engine is closed: waits until the backend is, too, or the time is over."""
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return
        self._thread.join(timeout)
        loop, driver = self._loop, self._driver
        if self._thread.is_alive() and loop is not None and driver is not None:
            with suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(driver.end)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # this thread is nobody's to interrupt or exit
            log.critical("the thread of a backend has ended; nothing is sent or received any more", exc_info=error)
            if self._driver is not None:
                self._driver.lost(InternalError(f"the thread of the backend has ended: {error!r}"))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._driver = Driver(self._backend, self._native, self._loop, self._options)
        await self._driver.done()
        if isinstance(self._backend, RedisBackend):
            with suppress(Exception):
                await self._backend.release()
