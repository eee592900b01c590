"""One engine for many event loops and threads."""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, Unpack

from ._codecs import AnyCodec
from ._json import AnyJson
from ._loops import running_loop
from ._setting_types import Settings
from ._subscription import OnEvent
from ._threads import block_signals
from .aio import Bus
from .backends import Backend
from .client import Client
from .errors import ClosedError, FanwireError


class Engine(Client):
    """A Client whose connections event loops share: each loop gets a light bus of its own from bus().

    For programs in which loops come and go, or work beside threads: `await engine.bus().publish("chat", "hello")` in a
    coroutine, `engine.publish("chat", "hello")` in a thread. Opens at once and connects in the background, unless wait=True.
    To be closed where no event loop has to wait for it: close(), or `await aclose()`.

    >>> import asyncio
    >>> async def send(value):
    ...     return await engine.bus().publish("chat", value)
    >>> with fanwire.Engine("memory://") as engine, engine.subscribe("chat") as messages:
    ...     asyncio.run(send("from a loop")), engine.publish("chat", "from a thread")
    ...     [messages.get().text for _ in range(2)]
    (1, 1)
    ['from a loop', 'from a thread']
    """

    _public_name = "Engine"

    def __init__(
        self,
        url: str | None = None,
        /,
        *,
        on_event: OnEvent | None = None,
        codec: AnyCodec | None = None,
        json: AnyJson | None = None,
        backend: Backend | object | None = None,
        wait: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        self._buses: weakref.WeakValueDictionary[int, Bus] = weakref.WeakValueDictionary()  # by the identity of the loop
        super().__init__(url, on_event=on_event, codec=codec, json=json, backend=backend, wait=wait, **settings)

    def bus(self) -> Bus:
        """The bus of the running event loop, made when it is first asked for.

        It need not be closed: it goes with its loop. close() ends what was subscribed through it and leaves the engine
        connected; then the next call makes another one. Raises WrongLoopError where no event loop runs, ClosedError.
        """
        loop = running_loop("Engine.bus()")
        bus = self._buses.get(id(loop))
        if bus is None or bus._loop is not loop or bus._closed or bus._closing is not None:
            self._refuse_forked()
            if self._closed:
                raise ClosedError("the engine is closed")
            bus = self._buses[id(loop)] = Bus(self._options, None, self._coding, "Engine.bus()", self)
        return bus

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """As close(), while the event loop goes on. Cancelling it ends the wait alone: the engine is closed all the same."""
        executor = ThreadPoolExecutor(1, "fanwire-close", block_signals)  # the default one may be busy, and what waits in it be cancelled
        try:
            closing = asyncio.get_running_loop().run_in_executor(executor, self.close, timeout)
        except RuntimeError:  # the interpreter is ending: there are no new threads
            self.close(timeout)
            return
        finally:
            executor.shutdown(wait=False)
        await asyncio.shield(closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except FanwireError:
            if exc is None:  # else the block's own exception tells more
                raise
