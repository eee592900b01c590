"""The engines of a layer: one for each host, which all its event loops share."""

from __future__ import annotations

import atexit
import os
import threading
import weakref

import fanwire

from ._hosts import Host

# Longest that they may keep a process, or whoever flushes, from going on.
CLOSE_S = 0.5


class Engines:
    """Opened when they are first needed, and again after close()."""

    def __init__(self, hosts: list[Host]) -> None:
        self._hosts = hosts
        self.lock = threading.RLock()  # whoever makes a channel holds it, so that nobody closes the engines meanwhile
        self._engines: list[fanwire.Engine] = []
        self.generation = 0  # another one for other engines
        _all.add(self)

    def get(self) -> list[fanwire.Engine]:
        engines = self._engines
        if engines:
            return engines
        with self.lock:
            if not self._engines:
                opened: list[fanwire.Engine] = []
                try:
                    for host in self._hosts:
                        opened.append(host.open())
                except BaseException:
                    _close(opened)
                    raise
                self._engines = opened
            return self._engines

    def take(self) -> list[fanwire.Engine]:
        """Those that are open, for the caller to close."""
        with self.lock:
            engines, self._engines = self._engines, []
            self.generation += 1
        return engines

    def close(self) -> None:
        _close(self.take())

    def forget_forked(self) -> None:
        """This process is a forked child: they are its parent's."""
        self.lock = threading.RLock()  # a thread that is not here may hold the former
        self._engines = []
        self.generation += 1


_all: weakref.WeakSet[Engines] = weakref.WeakSet()


def _close(engines: list[fanwire.Engine], timeout: float = CLOSE_S) -> None:
    for engine in engines:
        try:
            engine.close(timeout)
        except fanwire.FanwireError:  # whoever awaits a publish hears of it
            pass


async def aclose(engines: list[fanwire.Engine]) -> None:
    """While the event loop goes on."""
    for engine in engines:
        try:
            await engine.aclose(CLOSE_S)
        except fanwire.FanwireError:
            pass


# After fanwire's own, and so called before it: nobody closes a channel layer, and that is no mistake.
@atexit.register
def _close_all() -> None:
    for engines in list(_all):
        engines.close()


def _after_fork_in_child() -> None:
    for engines in list(_all):
        engines.forget_forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
