"""Signals and the package's own threads."""

from __future__ import annotations

import signal

_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS")  # of the thread itself


def block_signals() -> None:
    """Leaves those of the process to the application's threads. To be called first, in a thread that runs no code of others.

    Whoever blocks a signal in the main thread to be undisturbed, as the workers of billiard's pools do while they hold a lock
    that all of them share, would be ended by it nevertheless if another thread took it.
    """
    if hasattr(signal, "pthread_sigmask"):
        faults = {getattr(signal, name) for name in _FAULTS if hasattr(signal, name)}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
