"""TLS: it works from Python, next to Python's own ssl module, and what goes wrong has a class of its own."""

import ssl

import fanwire
import pytest


async def test_round_trip(tls_url, certificates, channel):
    ssl.create_default_context()  # the same library, at work in the same process
    payload = bytes(range(256)) * 1000
    async with fanwire.connect(tls_url, tls_ca_file=certificates / "ca.pem") as bus:
        messages = bus.subscribe(channel)
        await messages.ready
        assert await bus.publish(channel, payload) == 1
        assert (await anext(messages)).data == payload
    ssl.create_default_context()


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"tls_ca_file": "other-ca.pem"}, fanwire.TlsUntrustedError, "CN=ca"),
        ({"tls_ca_file": "ca.pem", "tls_server_name": "elsewhere"}, fanwire.TlsWrongNameError, "redis.test"),
    ],
)
def test_refusals_have_classes(tls_url, certificates, settings, error, said):
    settings = {**settings, "tls_ca_file": certificates / settings["tls_ca_file"], "max_reconnect_attempts": 1}
    with pytest.raises(error, match=said):
        fanwire.Client(tls_url, **settings)


def test_settings(tls_url, certificates):
    with fanwire.Client(tls_url, tls_verify=False) as client:
        assert client.publish("a", "x") == 0
    with pytest.raises(fanwire.InvalidOptionError, match="tls_ca_file.*garbage.pem"):
        fanwire.Client(tls_url, tls_ca_file=certificates / "garbage.pem")
    with pytest.raises(fanwire.InvalidOptionError, match="tls_ca_file.*rediss://"):
        fanwire.Client("redis://127.0.0.1", tls_ca_file=certificates / "ca.pem")
