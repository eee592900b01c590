"""The engines' logs, by Python's logging: the logger "fanwire"."""

from __future__ import annotations

import logging
import threading

from . import _native
from ._green import is_green, wait_readable
from ._threads import block_signals

log = logging.getLogger("fanwire")

_LEVELS = {level: int(getattr(logging, name)) for level, name in _native.LOG_LEVELS.items()}

_lock = threading.Lock()
_listening = False


def attach(options: _native.Options) -> None:
    """Has the engine that is opened with these options write to the logger."""
    global _listening
    if options.get("log_level") == "off":
        return
    is_green()  # refuses a thread that would wait for ever where it stops all greenlets
    _native.attach_log(options)
    with _lock:
        if _listening:
            return
        # One for the process. It has no native frame on its stack while it waits: so it can be left behind when the
        # interpreter ends.
        thread = threading.Thread(target=_listen, args=(_native.log_fd(),), name="fanwire-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: the rest is written then
            return
        _listening = True


def flush() -> None:
    """Writes what waits, in this thread."""
    lines, left_out = _native.take_log()
    for level, at, text in lines:
        _write(_LEVELS.get(level, logging.ERROR), at, text)
    if left_out:
        _write(logging.WARNING, None, f"{left_out} lines of this log were left out: they came faster than they were written")


def forget_forked() -> None:
    """The process is a forked child, without the thread."""
    global _listening, _lock
    _listening = False
    _lock = threading.Lock()


def _listen(fd: int) -> None:
    block_signals()
    while True:
        flush()
        wait_readable(fd, None)


def _write(level: int, at: float | None, text: str) -> None:
    # Nothing is printed by a program that has not set up logging at all, as logging would do from "warning" on.
    if not log.isEnabledFor(level) or not log.hasHandlers():
        return
    record = log.makeRecord(log.name, level, "(fanwire)", 0, text, (), None)
    if at is not None:
        record.created = at
        record.msecs = at % 1 * 1000
    try:
        log.handle(record)
    except BaseException:  # a handler's; this thread is nobody's to interrupt or exit, and has nobody else to report it to
        pass
