"""What connect() gives: a bus that is still to come."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn


if TYPE_CHECKING:
    from .aio import Bus

_HOW = (
    "`bus = await fanwire.connect(...)` or `async with fanwire.connect(...) as bus`; fanwire.open() gives a bus at once"
)


class Connecting:
    """A bus that is still to come: to be awaited, or entered with `async with`, once."""

    def __init__(self, make_bus: Callable[[], Bus]) -> None:
        self._make_bus: Callable[[], Bus] | None = make_bus
        self._bus: Bus | None = None

    def __await__(self) -> Generator[Any, None, Bus]:
        return self._connect().__await__()

    async def _connect(self) -> Bus:
        make_bus, self._make_bus = self._make_bus, None
        if make_bus is None:
            raise RuntimeError("this connect() was awaited already: call fanwire.connect() again for another bus")
        bus = make_bus()
        try:
            await bus.opened
        except BaseException:
            await bus._close_quietly()
            raise
        return bus

    async def __aenter__(self) -> Bus:
        self._bus = await self._connect()
        return self._bus

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._bus is not None
        await self._bus.__aexit__(exc_type, exc, traceback)

    def __enter__(self) -> NoReturn:
        self._make_bus = None
        raise TypeError(f"fanwire.connect() is asynchronous: {_HOW}; fanwire.Client is for plain `with`")

    def __exit__(self, *_: object) -> None: ...

    if not TYPE_CHECKING:  # type checkers are to find the mistake, too

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"connect() gives a bus and is none itself, so it has no .{name}: {_HOW}")

    def __del__(self) -> None:
        if self.__dict__.get("_make_bus") is not None:
            warnings.warn(f"fanwire.connect() was never awaited: {_HOW}", RuntimeWarning, source=self)
