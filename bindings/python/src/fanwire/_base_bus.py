"""What a bus of the asyncio and one of the blocking interface have in common: none of it waits for anything."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, cast

from . import _native
from ._health import Health, Latencies, health_of, latencies_of, metrics_of
from ._settings import to_text
from .errors import ForkedError


EngineState = Literal["connecting", "connected", "reconnecting", "gave_up", "closed"]


class BaseBus:
    _engine: _native.Engine
    _publisher: _native.Publisher
    _options: _native.Options
    _closed = True  # until it is open
    _forked = False  # this process is a forked child of the one that opened it

    @property
    def connected(self) -> bool:
        """Whether both links to Redis are ready now."""
        return self._engine.connected()

    @property
    def state(self) -> EngineState:
        """How the connection stands now.

        connecting (no attempt has succeeded yet), connected, reconnecting (it was connected and tries again), gave_up (after
        max_reconnect_attempts) or closed.
        """
        return cast(EngineState, _native.ENGINE_STATES[self._engine.state()])

    def reconnect(self) -> None:
        """Tries to connect at once instead of at the end of the wait between attempts, also after having given up.

        A connection that works is left alone. Returns at once; raises ClosedError.
        """
        self._engine.reconnect()

    def set_credentials(self, username: str | None, password: str | None) -> None:
        """Logs in as another user, or with another password, from now on. Returns at once.

        Connections made later use them, and the publish link logs in again without a break. The subscribe link stays
        as it is when only the password is another one; with another username it is renewed, with the usual lost, gap
        and resumed. A login that Redis refuses leaves a live link as it was, and is told as an "error" event of the
        connection with an AuthFailedError. None: the server's default user; no password.
        """
        name = None if username is None else to_text("username", username)
        secret = None if password is None else to_text("password", password)
        self._engine.set_credentials(name, secret)

    def health(self) -> Health:
        """Whether delivery works, from what the engine knows; also after close()."""
        return health_of(self._engine)

    def stats(self) -> dict[str, int]:
        """Counters since it was opened. Also after close()."""
        return self._engine.stats()

    def latency(self) -> Latencies:
        """How long publishes and deliveries have taken since it was opened."""
        return latencies_of(self._engine)

    def metrics(self, format: Literal["prometheus", "json"] = "prometheus") -> str:
        """Health, stats and latencies as text: Prometheus's exposition format 0.0.4, or one JSON object."""
        return metrics_of(self._engine, format)

    def publish_nowait(self, channel: str | bytes, value: Any) -> None:
        """Publishes without asking for the outcome, which is counted in stats(). Raises when it is refused at once."""
        self._publisher.publish_nowait(channel, value)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self!r} can be neither copied nor pickled: it is a connection; open another one")

    def _refuse_forked(self) -> None:
        if self._forked:
            raise ForkedError("opened before a fork: open another one in this process")

    # ---- For _lifetime

    def _forget(self) -> None:
        """Counts as closed from now on."""
        self._closed = True

    def _forget_forked(self) -> None:
        """The process is a forked child: the engine is the parent's, and locks may be held by threads not here."""
        self._forked = True
        self._forget()
