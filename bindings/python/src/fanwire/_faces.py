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

# The keyword arguments of redis-py that mean one of our settings as they are,
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
# those that mean one in another form,
_CONVERTED = ("credential_provider", "ssl_cert_reqs", "ssl_check_hostname", "socket_connect_timeout", "connection_class")
# and those of its own workings: there are two connections to a host here, and no pool.
_WITHOUT_MEANING = """decode_responses driver_info encoder_class encoding encoding_errors health_check_interval
    legacy_responses lib_name lib_version maint_notifications_config max_connections parser_class protocol retry
    retry_on_error retry_on_timeout single_connection_client socket_keepalive socket_keepalive_options
    socket_read_size socket_timeout socket_type timeout
    """.split()
_KNOWN = frozenset((*_OF_REDIS, *_CONVERTED, *_WITHOUT_MEANING))
ONLY_OF_REDIS = _KNOWN - {name for name, ours in _OF_REDIS.items() if name == ours}  # which no setting is called

_TLS_VERIFY: dict[str, bool] = {"none": False, "0": False, "optional": True, "1": True, "required": True, "2": True}


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
    return settings_of_options({**cast(Any, pool).connection_kwargs, "connection_class": connection})


def settings_of_options(options: Mapping[str, Any], *, with_others: bool = False) -> NonUrlSettings:
    """The settings that keyword arguments of redis-py mean, of whose URLs they may be as well: then all values are text.

    What redis-py does not know is left out, or with_others a setting of ours.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = {_OF_REDIS[name]: value for name, value in given.items() if name in _OF_REDIS}
    if with_others:
        settings |= {name: value for name, value in given.items() if name not in _KNOWN}
    if "SSL" in getattr(given.get("connection_class"), "__name__", ""):
        settings["tls"] = True
    if "credential_provider" in given:
        credentials = given["credential_provider"].get_credentials()
        settings |= zip(("password",) if len(credentials) == 1 else ("username", "password"), credentials)
    if "ssl_cert_reqs" in given:
        settings["tls_verify"] = _tls_verify(given["ssl_cert_reqs"])
    if settings.get("tls_verify", True) and str(given.get("ssl_check_hostname")).lower() in ("false", "0", "no", "off"):
        settings["tls_verify"] = "ca"
    if "socket_connect_timeout" in given:
        settings["connect_timeout_ms"] = max(1, round(float(given["socket_connect_timeout"]) * 1000))
    return cast(NonUrlSettings, settings)


def _tls_verify(value: Any) -> bool:
    verify = _TLS_VERIFY.get(str(value).lower().rpartition("cert_")[2])
    if verify is None:
        raise InvalidArgumentError(f'ssl_cert_reqs must be "none", "optional" or "required", not {value!r}')
    return verify


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
