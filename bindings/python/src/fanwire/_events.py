"""What happens to a bus or a subscription besides messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from . import _native
from ._native import Message
from .errors import FanwireError, make_error

Kind = Literal[
    "active",
    "lost",
    "resumed",
    "gap",
    "failed",
    "ended",
    "undecodable",
    "connected",
    "disconnected",
    "reconnecting",
    "error",
    "gave_up",
]
Reason = Literal["reconnect", "overflow", "output_buffer", "failover"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a subscription or, through connect()'s on_event, to the connection.

    Of a subscription, in order with its messages:

    - active: Redis confirmed it for the first time
    - lost: the link broke (error: why); it is still wanted
    - resumed: Redis confirmed it again
    - gap: messages are missing here (count, or None when nobody can know). The reason is "reconnect" (the link was
      down), "overflow" (the inbox was full; the count is exact), "output_buffer" (as reconnect, most likely because
      Redis closed the link for its client-output-buffer-limit) or "failover" (as reconnect, and another server has
      become the master meanwhile)
    - failed: Redis refused it (error: why); it is tried again slowly
    - undecodable: the codec of the bus cannot decode the message that stood here (message, error: DecodeError)
    - ended: the last one (error: UnsubscribedError or ClosedError)

    Of the connection:

    - connected, disconnected (error, will_reconnect)
    - reconnecting (count: which attempt in a row; delay: seconds until it is made)
    - error: an attempt to connect failed, or the login after set_credentials() (error, will_reconnect)
    - gave_up: max_reconnect_attempts have failed in a row (error: why the last one did; count: how many were made);
      reconnect() tries again
    """

    kind: Kind
    error: FanwireError | None = None
    reason: Reason | None = None
    count: int | None = None
    delay: float | None = None
    will_reconnect: bool = False
    message: Message | None = None


def to_event(raw: _native.RawEvent | _native.Undecodable) -> Event:
    if len(raw) == 2:
        message, error = raw
        return Event("undecodable", error=cast(FanwireError, error), message=message)
    kind_code, status, text, reason, count, delay_ms, will_reconnect, _ = raw
    kind = cast(Kind, _native.EVENT_KINDS[kind_code])
    return Event(
        kind,
        error=make_error(status, text) if status else None,
        reason=cast(Reason, _native.GAP_REASONS[reason]) if kind == "gap" else None,
        count=count if kind in ("gap", "reconnecting", "gave_up") else None,
        delay=delay_ms / 1000 if kind == "reconnecting" else None,
        will_reconnect=will_reconnect,
    )


def to_error(raw: _native.RawEvent) -> FanwireError:
    """Why a publish failed."""
    return make_error(raw[1], raw[2])
