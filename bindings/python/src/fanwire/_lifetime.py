"""Buses that are open when the process forks or ends."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from . import _log, _native


class Abandonable(Protocol):
    def _abandon(self) -> None:
        """Closes at once, in this thread: no other one comes back from the engine any more."""

    def _forget_forked(self) -> None:
        """Counts as closed from now on; the process is a forked child, where the engine does not run."""


ending = False  # no thread but this one comes back from the engine any more

_open: weakref.WeakSet[Abandonable] = weakref.WeakSet()


def opened(bus: Abandonable) -> None:
    _open.add(bus)


def closed(bus: Abandonable) -> None:
    _open.discard(bus)


# While the interpreter still works: threads that wait in the engine must not come back into one that is ending. They
# are stopped first: daemon threads are not to be told of an end that nobody asked for.
@atexit.register
def _abandon_all() -> None:
    global ending
    ending = True
    _native.keep_threads_out()
    first: BaseException | None = None
    for bus in list(_open):
        try:
            bus._abandon()
        except BaseException as error:  # a warning that was made an error, say: the others are closed all the same
            first = first or error
    _log.flush()  # what the closing had to say
    if first is not None:
        raise first


def _after_fork_in_child() -> None:
    for bus in list(_open):
        bus._forget_forked()
    _open.clear()
    _log.forget_forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
