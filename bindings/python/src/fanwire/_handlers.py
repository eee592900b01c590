"""What may be a handler, and what it may return."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable
from types import FunctionType
from typing import Any, TypeGuard

from .errors import InvalidArgumentError

# What a plain function may raise without harm to others. A CancelledError comes from something that it looked at, like
# the result of a cancelled future: the task that it is called in is not the one that was cancelled.
CAUGHT = (Exception, asyncio.CancelledError)


def check_callable(function: object, what: str) -> None:
    if function is not None and not callable(function):
        raise InvalidArgumentError(f"{what} must be callable, not {type(function).__name__}")


def is_async(handler: object) -> bool:
    """Whether calling it gives a coroutine, as far as can be seen before the call."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    function = getattr(handler, "__func__", handler)
    if type(function) is FunctionType and not vars(function):  # the plain case, without the cost of the others
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))


def must_be_awaited(result: object) -> TypeGuard[Awaitable[Any]]:
    """Whether nothing happens unless somebody awaits it: a coroutine or the like, but no future, which goes on by itself."""
    return result is not None and inspect.isawaitable(result) and not hasattr(result, "_asyncio_future_blocking")


def refuse_async(function: object, what: str) -> None:
    if is_async(function):
        raise InvalidArgumentError(f"{what} is an async function: use it with fanwire.connect()")


def drop_awaitable(result: object) -> InvalidArgumentError | None:
    """For those who cannot await: what is wrong with a result, if anything."""
    if not must_be_awaited(result):
        return None
    if inspect.iscoroutine(result):
        result.close()  # or it would warn that nobody has awaited it
    return InvalidArgumentError("it returned a coroutine, which nobody here can await: use it with fanwire.connect()")
