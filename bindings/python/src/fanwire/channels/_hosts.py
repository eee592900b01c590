"""The hosts of a layer's configuration, as channels_redis takes them, and what the engine makes of them."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import fanwire
from fanwire._faces import ONLY_OF_REDIS, settings_of_options

DEFAULT_URL = "redis://localhost:6379"

class Host:
    """One of them: a URL, and the settings that it does not have."""

    def __init__(self, url: str, settings: Mapping[str, Any]) -> None:
        self.url = url
        self.settings = dict(settings)
        effective = fanwire.effective_settings(url, **self.settings)  # raises whatever is wrong with them
        self.publish_timeout_s = int(effective["publish_timeout_ms"]) / 1000

    def open(self) -> fanwire.Engine:
        return fanwire.Engine(self.url, **self.settings)


def hosts_of(hosts: Iterable[Any] | None, settings: Mapping[str, Any]) -> list[Host]:
    """Those of a configuration, with `settings` for what they do not say themselves."""
    if not hosts:
        hosts = [DEFAULT_URL]
    if isinstance(hosts, (str, bytes, Mapping)):
        raise ValueError("You must pass a list of Redis hosts, even if there is only one.")
    return [_host_of(entry, settings) for entry in hosts]


def index_of(name: str, count: int) -> int:
    """Which of so many hosts a channel or group is on, as channels_redis has it."""
    if count == 1:
        return 0
    return int((binascii.crc32(name.encode()) & 0xFFF) / (4096 / count))


def _host_of(entry: Any, settings: Mapping[str, Any]) -> Host:
    if isinstance(entry, Mapping):
        given = dict(entry)
    elif isinstance(entry, (tuple, list)):
        if len(entry) != 2:
            raise ValueError(f"a Redis host must be a URL, (host, port) or a dict, not {len(entry)} values")
        given = {"host": entry[0], "port": entry[1]}
    else:
        given = {"address": entry}
    address = given.pop("address", None)
    if address is not None:
        url, query = _without_query(address)
        url_settings = _settings_of({**query, **given})
    elif "master_name" in given:
        url = _sentinel_url(given)
        url_settings = _settings_of(given)
    else:
        url_settings = _settings_of(given)
        url = _url_of(url_settings)
    return Host(url, {**settings, **url_settings})


def _without_query(address: Any) -> tuple[str, dict[str, Any]]:
    """A URL without the parameters that only redis-py knows, and these."""
    if not isinstance(address, str):
        raise ValueError(f"the address of a Redis host must be a str, not {type(address).__name__}")
    parts = urlsplit(address)
    known: dict[str, Any] = {}
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in ONLY_OF_REDIS:
            known[name] = value
        else:
            rest.append((name, value))
    if not known:
        return address, {}
    return urlunsplit(parts._replace(query=urlencode(rest))), known


def _settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Ours for redis-py's names; others are ours as they are."""
    return dict(settings_of_options(given, with_others=True))


def _url_of(settings: dict[str, Any]) -> str:
    """Takes what a URL says out of the settings, so that none in the environment stands in for it."""
    if settings.get("unix_path") is not None:
        return "unix://" + quote(str(settings.pop("unix_path")))
    host = str(settings.pop("host", "localhost"))
    return f"redis://{f'[{host}]' if ':' in host else host}:{settings.pop('port', 6379)}"


def _sentinel_url(given: dict[str, Any]) -> str:
    """Takes what says where the sentinels are out of what is given."""
    master_name = given.pop("master_name")
    sentinels = given.pop("sentinels", None) or []
    given.pop("sentinel_kwargs", None)
    hosts = ",".join(f"{f'[{host}]' if ':' in str(host) else host}:{port}" for host, port in sentinels)
    return f"redis-sentinel://{hosts}/{given.pop('db', 0)}?sentinels={quote(str(master_name), safe='')}"
