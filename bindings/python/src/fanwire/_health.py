"""What an engine says about itself: whether delivery works, and how long things take."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from . import _native
from .errors import FanwireError, InvalidArgumentError, make_error


class Verdict(enum.StrEnum):
    """Whether delivery works."""

    OK = "ok"
    """Both links work, every wanted channel is confirmed, the probe (if on) comes back."""
    DEGRADED = "degraded"
    """Both links work, but something that is wanted is not delivered, or not known to be."""
    DOWN = "down"
    """A link is down, or the bus is closed."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to "is delivery working?", as far as the engine knows without asking anybody.

    With the setting probe_interval_ms it sends itself a message through Redis so often; only then it is known that
    messages do come through.
    """

    verdict: Verdict
    error: FanwireError | None
    """Why it is not ok."""
    publish_link: bool
    """Whether the link is ready."""
    subscribe_link: bool
    unconfirmed: int
    """Distinct channels and patterns that are wanted and not confirmed, the refused ones included."""
    refused: int
    """Those of them that Redis refused."""
    silence_ms: int | None
    """Since anything was received on the subscribe link; None: never."""
    probe_age_ms: int | None
    """Since a probe last came back; None: none has, or probe_interval_ms is 0."""
    probe_us: int | None
    """Round trip of that probe in microseconds."""
    text: str
    """The verdict in words."""

    @property
    def ok(self) -> bool:
        """Whether the verdict is OK."""
        return self.verdict is Verdict.OK


@dataclass(frozen=True, slots=True)
class Latency:
    """A histogram in microseconds, of everything since the bus was opened."""

    count: int
    sum_us: int
    max_us: int
    buckets: tuple[int, ...]
    """buckets[i] counts what took more than 2**(i-1) and at most 2**i microseconds, the last one also all above."""

    def percentile(self, percent: float) -> int | None:
        """What `percent` of all took at most, in microseconds: a power of two or max_us. None when there was nothing."""
        if isinstance(percent, bool) or not isinstance(percent, (int, float)) or not 0 <= percent <= 100:
            raise InvalidArgumentError(f"percent must be a number from 0 to 100, not {percent!r}")
        if self.count == 0:
            return None
        wanted = max(1, math.ceil(percent * self.count / 100))
        below = 0
        for index, number in enumerate(self.buckets[:-1]):
            below += number
            if below >= wanted:
                return min(1 << index, self.max_us)
        return self.max_us


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long things take in the engine."""

    publish: Latency
    """From accepting a publish to its outcome."""
    delivery: Latency
    """From reading a message off the socket to draining it, once for each subscription."""


def health_of(engine: _native.Engine) -> Health:
    verdict, status, publish_link, subscribe_link, unconfirmed, refused, silence_ms, probe_age_ms, probe_us, text = (
        engine.health()
    )
    return Health(
        verdict=Verdict(_native.HEALTH_VERDICTS[verdict]),
        error=make_error(status, text) if status else None,
        publish_link=publish_link,
        subscribe_link=subscribe_link,
        unconfirmed=unconfirmed,
        refused=refused,
        silence_ms=silence_ms,
        probe_age_ms=probe_age_ms,
        probe_us=probe_us,
        text=text,
    )


def latencies_of(engine: _native.Engine) -> Latencies:
    return Latencies(**{name: Latency(*engine.latency(kind)) for name, kind in _native.LATENCY_KINDS.items()})


def metrics_of(engine: _native.Engine, format: str) -> str:
    kind = _native.METRICS_FORMATS.get(format) if isinstance(format, str) else None
    if kind is None:
        known = " or ".join(repr(name) for name in _native.METRICS_FORMATS)
        raise InvalidArgumentError(f"the format of metrics is {known}, not {format!r}")
    return engine.metrics(kind)
