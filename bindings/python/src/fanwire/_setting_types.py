"""The settings as type checkers see them: the rows of the engine's table, which a test compares with this."""

from __future__ import annotations

import os
from typing import Literal, TypedDict

Path = str | os.PathLike[str]
Size = int | str
"""Bytes: a number, or a text such as "64MiB"."""


class NonUrlSettings(TypedDict, total=False):
    """All but the URL, for those that have an argument of that name."""

    host: str | None
    port: int | None
    unix_path: Path | None
    username: str | None
    password: str | None
    db: int | None
    nodes: str | None
    master: str | None
    sentinel_username: str | None
    sentinel_password: str | None
    client_name: str | None
    server_info: bool | None

    tls: bool | None
    tls_ca_file: Path | None
    tls_cert_file: Path | None
    tls_key_file: Path | None
    tls_server_name: str | None
    tls_verify: bool | Literal["ca"] | None

    namespace: str | None
    channel_rules: Literal["lax", "strict"] | None

    connect_timeout_ms: int | None
    reconnect_delay_ms: int | None
    max_reconnect_delay_ms: int | None
    reconnect_factor: float | None
    reconnect_jitter: Literal["equal", "full", "none", "decorrelated"] | None
    max_reconnect_attempts: int | None
    revive_on_use: bool | None
    heartbeat_interval_ms: int | None
    heartbeat_timeout_ms: int | None
    write_pause_ms: int | None
    probe_interval_ms: int | None

    publish_timeout_ms: int | None
    offline: Literal["queue", "fail"] | None
    offline_bytes: Size | None
    offline_count: int | None
    publish_buffer_bytes: Size | None
    max_message_bytes: Size | None
    drain_wait_ms: int | None
    max_flush_delay_us: int | None

    inbox_count: int | None
    inbox_bytes: Size | None
    overflow: Literal["drop_oldest", "drop_newest", "conflate"] | None
    max_subscriptions: int | None
    max_requests: int | None
    unsubscribe_linger_ms: int | None
    max_read_delay_us: int | None

    log_level: Literal["off", "error", "warn", "info", "debug"] | None


class Settings(NonUrlSettings, total=False):
    """The keyword arguments of open(), connect(), Client and Engine. None is as good as not given."""

    url: str | None
