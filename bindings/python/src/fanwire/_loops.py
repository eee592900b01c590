"""Which event loop a bus belongs to. Whoever comes from another one is refused before anything happens."""

from __future__ import annotations

import asyncio
import sys

from .errors import WrongLoopError


def running_loop(what: str) -> asyncio.AbstractEventLoop:
    """The running event loop, which `what` needs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    if _trio_runs():
        raise WrongLoopError(
            f"{what} works in asyncio's event loops, and here trio runs: use fanwire.Client, "
            "its blocking calls by trio.to_thread.run_sync()"
        )
    raise WrongLoopError(
        f"{what} needs a running event loop: call it in a coroutine (asyncio.run(main())), or use fanwire.Client"
    )


def check_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Raises unless what belongs to `loop` may be used here.

    It may while the loop runs this code, and between two runs of it, when nobody else can be in the middle of something.
    """
    running = asyncio._get_running_loop()
    if running is loop:
        return
    if loop.is_closed():
        raise WrongLoopError("the event loop of this bus is closed: open a bus in the loop that runs now" + _HINT)
    if running is not None:
        raise WrongLoopError("the bus belongs to another event loop: open one in each loop" + _HINT)
    if loop.is_running():
        raise WrongLoopError(
            "the bus belongs to an event loop that runs in another thread: use loop.call_soon_threadsafe(), "
            "asyncio.run_coroutine_threadsafe() or a fanwire.Client"
        )


_HINT = ", or have them share one engine: fanwire.Engine(...).bus()"


def _trio_runs() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
