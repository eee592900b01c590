"""What the faces, the modules that stand in for other packages over Redis, have in common."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from ._setting_types import NonUrlSettings
from .errors import InvalidArgumentError

log = logging.getLogger("fanwire")

# Other members of the fleet know nothing of namespaces, drop a channel at once and are back within seconds.
_DEFAULTS = NonUrlSettings(namespace="", unsubscribe_linger_ms=0, max_reconnect_delay_ms=2000)

_CONNECTIONS = ("Connection", "SSLConnection", "UnixDomainSocketConnection")

# The keyword arguments of redis-py that mean one of our settings.
_OF_REDIS = {
    "host": "host",
    "port": "port",
    "path": "unix_path",
    "unix_socket_path": "unix_path",
    "db": "db",
    "username": "username",
    "password": "password",
    "client_name": "client_name",
    "ssl": "tls",
    "ssl_ca_certs": "tls_ca_file",
    "ssl_certfile": "tls_cert_file",
    "ssl_keyfile": "tls_key_file",
}


def face_settings(url: str | None, settings: NonUrlSettings) -> NonUrlSettings:
    """The settings with a face's defaults for those that neither they nor the URL give."""
    in_url = parse_qs(urlsplit(url).query, keep_blank_values=True) if isinstance(url, str) else {}
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in in_url}
    return cast(NonUrlSettings, defaults | {name: value for name, value in settings.items() if value is not None})


def settings_of_client(client: Any) -> NonUrlSettings:
    """Where a client of redis-py or valkey is connected to, and as whom."""
    pool = getattr(client, "connection_pool", None)
    connection = getattr(pool, "connection_class", type(None))
    package = connection.__module__.partition(".")[0]
    if package not in ("redis", "valkey") or connection.__name__ not in _CONNECTIONS:
        raise InvalidArgumentError(
            f"{client!r} says nothing of the server that it connects to: give a URL, or a client for one server of "
            "redis or valkey"
        )
    settings = settings_of_options(cast(Any, pool).connection_kwargs)
    if connection.__name__ == "SSLConnection":
        settings["tls"] = True
    return settings


def settings_of_options(options: Mapping[str, Any]) -> NonUrlSettings:
    """The settings that keyword arguments of redis-py mean; those of its own workings mean none."""
    settings = {_OF_REDIS[name]: value for name, value in options.items() if name in _OF_REDIS and value is not None}
    provider = options.get("credential_provider")
    if provider is not None:
        credentials = provider.get_credentials()
        settings |= zip(("password",) if len(credentials) == 1 else ("username", "password"), credentials)
    if str(options.get("ssl_cert_reqs", "")).lower() in ("none", "0", "verifymode.cert_none"):
        settings["tls_verify"] = False
    elif options.get("ssl_check_hostname") is False:
        settings["tls_verify"] = "ca"
    timeout = options.get("socket_connect_timeout")
    if timeout is not None:
        settings["connect_timeout_ms"] = max(1, round(timeout * 1000))
    return cast(NonUrlSettings, settings)


def not_in_url(settings: NonUrlSettings, url: str) -> NonUrlSettings:
    """Those that the URL does not give: with redis-py it counts more than keyword arguments do."""
    parts = urlsplit(url)
    given = {
        "host": parts.hostname,
        "port": re.search(r":\d+$", parts.netloc),
        "username": parts.username,
        "password": parts.password,
        "db": parts.path.strip("/"),
    }
    return cast(NonUrlSettings, {name: value for name, value in settings.items() if not given.get(name)})


def refuse_settings(settings: NonUrlSettings, given: object) -> None:
    """Of a bus or an engine that is passed in: it is open already."""
    if settings:
        raise InvalidArgumentError(f"{given!r} has settings of its own: {', '.join(settings)} would have no effect")


def missing(face: str, package: str) -> str:
    """What the ImportError of a face says."""
    return f"{face} needs the package {package}: pip install {package}, or fanwire[{face.removeprefix('fanwire.')}]"
