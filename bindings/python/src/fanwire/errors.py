"""The exceptions, made from the engine's table of status codes: NO_MEMORY is NoMemoryError, and so on.

The classes are listed for type checkers in errors.pyi.
"""

import builtins

from . import _native

# What the failure is in Python's own terms, so that `except TimeoutError` and the like work. Others have no base but
# FanwireError.
_BUILTIN_BASES = {
    "INVALID_ARGUMENT": ValueError,
    "INVALID_URL": ValueError,
    "UNKNOWN_OPTION": ValueError,
    "INVALID_OPTION": ValueError,
    "INVALID_CHANNEL": ValueError,
    "MESSAGE_TOO_LARGE": ValueError,
    "NO_MEMORY": builtins.MemoryError,
    "TIMEOUT": builtins.TimeoutError,
    "CONNECT_TIMEOUT": builtins.TimeoutError,
    "NOT_CONNECTED": ConnectionError,
    "RESOLVE_FAILED": ConnectionError,
    "CONNECT_FAILED": ConnectionError,
    "CONNECTION_LOST": ConnectionError,
    "WRONG_SERVER": ConnectionError,
    "NO_MASTER": ConnectionError,
    "NOT_MASTER": ConnectionError,
    "AUTH_FAILED": PermissionError,
    "NO_PERMISSION": PermissionError,
    "SYSTEM_ERROR": OSError,
}


class FanwireError(Exception):
    """What every failure of fanwire is an instance of."""

    status = -1
    name = "UNKNOWN"
    retryable = False
    may_have_happened = False
    """Of a publish: whether it may have reached Redis all the same, so that to repeat it might publish twice."""


def _class_name(status_name):
    return "".join(word.capitalize() for word in status_name.removesuffix("_ERROR").split("_")) + "Error"


def _make_class(status, name, text, retryable):
    bases = (FanwireError, *filter(None, [_BUILTIN_BASES.get(name)]))
    members = {
        "__doc__": f"{name}: {text}.",
        "__module__": "fanwire",
        "status": status,
        "name": name,
        "retryable": retryable,
        "may_have_happened": name == "OUTCOME_UNKNOWN",
    }
    return type(_class_name(name), bases, members)


_rows = [row for row in _native.status_table() if row[1] != "OK"]
_texts = {status: text for status, _, text, _ in _rows}
_by_status = {row[0]: _make_class(*row) for row in _rows}
_classes = {cls.__name__: cls for cls in _by_status.values()}
globals().update(_classes)



class WrongLoopError(InvalidArgumentError, RuntimeError):  # noqa: F821
    """A bus was used from another event loop or thread than its own, or where no event loop runs. Nothing was sent."""


class DecodeError(FanwireError, ValueError):
    """The codec of the bus cannot decode a message. Of "undecodable" events."""

    name = "DECODE_FAILED"


_of_python = [WrongLoopError, DecodeError]
for _class in (FanwireError, *_of_python):
    _class.__module__ = "fanwire"
__all__ = ["FanwireError", *_classes, *(cls.__name__ for cls in _of_python)]


def make_error(status, text=None):
    """The exception of a status; without a text it has the table's."""
    cls = _by_status.get(status, FanwireError)
    return cls(text or _texts.get(status, "unknown status"))


_native.set_error_classes(_by_status)
