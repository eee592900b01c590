"""Programs in which gevent or eventlet has put greenlets in the place of threads.

There a thread of Python's is a greenlet, and whatever waits without saying so to the hub stops all of them. Waiting has
to go through the `select` and `time` that were patched, and is only refused where that cannot work.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from typing import Any

from .errors import InvalidArgumentError


def is_green() -> bool:
    """Whether threads are greenlets here. Raises where they are, but select, by which they are to wait, is not theirs."""
    patched = _patched()
    if patched is None or not patched("threading", "thread"):
        return False
    if not patched("select", "select"):
        raise InvalidArgumentError(
            "threads are greenlets here, but waiting in `select` would stop all of them: patch it as well, by "
            "monkey.patch_all() of gevent or monkey_patch() of eventlet"
        )
    return True


def wait_readable(fd: int, timeout: float | None) -> None:
    """Waits as the patched modules do, or as plain ones when there are none."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(None if timeout is None else timeout * 1000)
    else:  # eventlet takes it away
        select.select([fd], [], [], timeout)


def wait_until(ask: Callable[[], bool], deadline: float | None) -> bool:
    """Asks again and again, letting greenlets run, until the answer is yes or the time.monotonic() is over."""
    pause = 0.0005
    while not ask():
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        time.sleep(pause if left is None else min(pause, left))
        pause = min(2 * pause, 0.02)
    return True


def call_in_real_thread(function: Callable[[], object]) -> None:
    """Calls it where it may block, and waits as a greenlet does."""
    failures: list[BaseException] = []
    done: list[bool] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)
        done.append(True)

    _start_new_thread()(call, ())
    wait_until(lambda: bool(done), None)
    if failures:
        raise failures[0]


def _patched() -> Callable[[str, str], bool] | None:
    """Tells whether a module is patched, by its names for gevent and for eventlet; None without either."""
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")

    def patched(for_gevent: str, for_eventlet: str) -> bool:
        return bool(
            (gevent is not None and gevent.is_module_patched(for_gevent))
            or (eventlet is not None and eventlet.is_monkey_patched(for_eventlet))
        )

    return None if gevent is None and eventlet is None else patched


def _start_new_thread() -> Callable[..., object]:
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        start: Callable[..., object] = gevent.get_original("_thread", "start_new_thread")
        return start
    eventlet: Any = sys.modules.get("eventlet.patcher")
    start = eventlet.original("_thread").start_new_thread
    return start
