"""Calling a function with one item after the other, and awaiting what it returns before the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from .aio import Bus

Item = TypeVar("Item")

_TURN = 64  # calls that return at once, before the event loop has its turn again


class Queue(Protocol[Item]):
    def __bool__(self) -> bool: ...
    def add(self, item: Item, /) -> None: ...
    def take(self) -> Item: ...


class InOrder(Generic[Item]):
    """Calls `call` at once as long as what it returns is nothing to await, which is all that it costs then.

    While something is awaited, items wait in `queue`, whose business their limit is.
    """

    def __init__(
        self,
        bus: Bus,
        name: str,
        queue: Queue[Item],
        call: Callable[[Item], Awaitable[object] | None],
        report: Callable[[BaseException, Item], None],
        cancelled: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._name = name
        self._queue = queue
        self._call = call
        self._report = report
        self._cancelled = cancelled
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None

    def put(self, item: Item) -> None:
        if self._task is not None:
            self._queue.add(item)
            return
        awaitable = self._call(item)
        if awaitable is not None:
            self.start(awaitable, item)

    def start(self, awaitable: Awaitable[object], item: Item) -> None:
        """Goes on from a call that was made elsewhere. It must not be busy."""
        self._task = self._bus._start(self._run(awaitable, item), self._name)

    async def idle(self) -> None:
        """Waits until nothing is awaited any more; not when it is called by what is awaited."""
        while self._task is not None and self._task is not asyncio.current_task():
            await self._bus._follow(self._task)

    async def _run(self, awaitable: Awaitable[object] | None, item: Item) -> None:
        try:
            calls = 0
            while True:
                if awaitable is not None:
                    await self._await(awaitable, item)
                elif (calls := calls + 1) % _TURN == 0:
                    await asyncio.sleep(0)
                if not self._queue:
                    return
                item = self._queue.take()
                awaitable = self._call(item)
        except asyncio.CancelledError:
            self._cancelled()
            raise
        finally:
            self._task = None

    async def _await(self, awaitable: Awaitable[object], item: Item) -> None:
        try:
            await awaitable
        except Exception as error:
            self._report(error, item)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._report(error, item)  # something that was awaited there was cancelled
