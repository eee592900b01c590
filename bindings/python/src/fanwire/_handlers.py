"""What may be a handler."""

from __future__ import annotations

import asyncio
import inspect

from .errors import InvalidArgumentError

# What a plain function may raise without harm to others. A CancelledError comes from something that it looked at, like
# the result of a cancelled future: the task that it is called in is not the one that was cancelled.
CAUGHT = (Exception, asyncio.CancelledError)


def check_callable(function: object, what: str) -> None:
    if function is not None and not callable(function):
        raise InvalidArgumentError(f"{what} must be callable, not {type(function).__name__}")


def is_async(handler: object) -> bool:
    """Whether calling it gives a coroutine: an async function, or an object with an async __call__."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))
