"""Messages that a channel or group has missed, and whoever wants to know."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("fanwire.channels")

Reason = Literal[
    "reconnect", "output_buffer", "failover", "overflow", "refused", "full", "expired", "group_expired", "undecodable"
]

# How long losses are counted before they are reported, once one has been.
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages that did not reach a channel, or the channels of a group, of this process.

    - reconnect, output_buffer, failover: the connection was down (count: None, since nobody can know)
    - overflow: the engine's inbox was full; see the setting inbox_count
    - refused: Redis no longer allows the subscription (error: why); it is tried again slowly
    - full: the channel held as many messages as its capacity
    - expired: they waited in the channel for longer than `expiry` seconds
    - group_expired: the channel is no longer in the group, having been in there for `group_expiry` seconds
    - undecodable: they are not in the layer's format, or of a key that it does not have (error: why the last one)
    """

    reason: Reason
    channel: str | None = None
    group: str | None = None
    count: int | None = None
    error: BaseException | None = None


OnLoss = Callable[[Loss], object]


class Losses:
    """Those of one event loop. Reported at once, and then at most once a second for each channel and reason."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Callable[[Loss], object] | None) -> None:
        self._loop = loop
        self._report = report
        self._noted: dict[tuple[Reason, str | None, str | None], Loss] = {}
        self._timer: asyncio.Handle | None = None

    def note(
        self,
        reason: Reason,
        channel: str | None,
        group: str | None,
        count: int | None,
        error: BaseException | None = None,
    ) -> None:
        key = reason, channel, group
        noted = self._noted.get(key)
        if noted is not None:
            count = None if count is None or noted.count is None else count + noted.count
        self._noted[key] = Loss(reason, channel, group, count, error)
        if self._timer is None:
            self._timer = self._loop.call_soon(self._on_time)

    def close(self) -> None:
        """Reports what it has."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._report_all()

    def _on_time(self) -> None:
        self._timer = None
        if self._noted:
            self._report_all()
            self._timer = self._loop.call_later(_PAUSE_S, self._on_time)

    def _report_all(self) -> None:
        losses = list(self._noted.values())
        self._noted.clear()
        if self._report is not None:
            for loss in losses:
                self._report(loss)
        elif losses:
            log.warning("%s", _text_of(losses))


def _text_of(losses: list[Loss]) -> str:
    """One line for all of them: a break concerns each channel and group there is."""
    by_reason: dict[Reason, list[Loss]] = {}
    for loss in losses:
        by_reason.setdefault(loss.reason, []).append(loss)
    return "messages were lost: " + "; ".join(_reason_text(reason, those) for reason, those in by_reason.items())


def _reason_text(reason: Reason, losses: list[Loss]) -> str:
    counts = [loss.count for loss in losses]
    count = "unknown number" if None in counts else str(sum(count or 0 for count in counts))
    names = [f"group {loss.group!r}" if loss.channel is None else f"channel {loss.channel!r}" for loss in losses]
    where = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    error = next((f" ({type(loss.error).__name__}: {loss.error})" for loss in losses if loss.error is not None), "")
    return f"{reason}, {count}, in {where}{error}"
