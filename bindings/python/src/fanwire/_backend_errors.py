"""What a backend raises, as errors of fanwire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from .errors import AuthFailedError, FanwireError, NoPermissionError, OutcomeUnknownError, RedisError


def to_error(error: BaseException, otherwise: type[FanwireError] = OutcomeUnknownError) -> FanwireError:
    """`error` itself if it is one of fanwire, or what it is by the names of redis-py, or `otherwise`."""
    if isinstance(error, FanwireError) and error.status > 0:
        return error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if "NoPermissionError" in names_of(error):
        return NoPermissionError(text)
    if "AuthenticationError" in names_of(error):
        return AuthFailedError(text)
    return RedisError(text) if is_answer(error) else otherwise(text)


def is_answer(error: BaseException) -> bool:
    """Whether it is an error that the server has answered."""
    return "ResponseError" in names_of(error) and not isinstance(error, OSError)


def names_of(given: object) -> set[str]:
    """Those of its classes: redis and valkey have the same, and neither need be installed."""
    return {cls.__name__ for cls in type(given).__mro__}


async def translated(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except Exception as error:
        raise to_error(error) from error


def is_failure(error: BaseException) -> bool:
    """Whether an awaited call failed; otherwise the task that awaits it is cancelled, or the process ends."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    return isinstance(error, Exception)
