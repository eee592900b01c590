"""What a channel layer says in Redis, to which servers, and what Channels looks at."""

import inspect

import fanwire
import msgpack
import pytest
from channels.layers import BaseChannelLayer
from channels_redis import serializers as original_serializers
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_support import MESSAGE, layer, make_layer, subscribed  # noqa: F401
from conftest import within
from fanwire.channels import FanwireChannelLayer, SerializerDoesNotExist, registry
from redis.credentials import UsernamePasswordCredentialProvider
from redis_server import RawConnection


# ---- The wire


@pytest.mark.parametrize("format", ["msgpack", "json"])
@pytest.mark.parametrize("keys", [None, ["new", b"old"]])
async def test_payloads_are_channels_rediss(make_layer, format, keys):
    message = {"type": "x", "text": "ü", "n": [1, -1, 2**63 - 1, 1.5, None, True], "d": {"k": "v"}}
    config = {"serializer_format": format, "symmetric_encryption_keys": keys}
    ours = make_layer(**config)
    theirs = RedisPubSubChannelLayer(**config)
    if keys is None:
        assert ours.serialize(message) == theirs.serialize(message)
    assert ours.deserialize(theirs.serialize(message)) == theirs.deserialize(ours.serialize(message)) == message
    if keys is not None:
        old = RedisPubSubChannelLayer(**{**config, "symmetric_encryption_keys": ["old"]})
        assert ours.deserialize(old.serialize(message)) == message


async def test_the_bytes_in_redis(make_layer, own_redis):
    layer = make_layer(prefix="app")
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    assert subscribed(own_redis) == sorted([channel, "app__group__g"]) and channel.startswith("appspecific.")
    with RawConnection(own_redis.port) as raw:
        raw.command("SUBSCRIBE", "app__group__g")
        await layer.group_send("g", MESSAGE)
        assert raw.reply() == [b"message", b"app__group__g", msgpack.packb(MESSAGE)]


async def test_channels_redis_hears_and_is_heard(make_layer, own_redis):
    config = {"hosts": [own_redis.url], "symmetric_encryption_keys": ["k"]}
    ours, theirs = make_layer(**config), RedisPubSubChannelLayer(**config)
    our_channel, their_channel = await ours.new_channel(), await theirs.new_channel()
    await ours.group_add("g", our_channel)
    await theirs.group_add("g", their_channel)
    await ours.send(their_channel, MESSAGE)
    await theirs.send(our_channel, MESSAGE)
    assert await within(theirs.receive(their_channel)) == await within(ours.receive(our_channel)) == MESSAGE
    for sender in (ours, theirs):
        await sender.group_send("g", MESSAGE)
        assert await within(theirs.receive(their_channel)) == await within(ours.receive(our_channel)) == MESSAGE
    await theirs.flush()


def test_serializers_of_others():
    class Mine:
        def __init__(self, symmetric_encryption_keys=None):
            pass

        def serialize(self, message):
            return repr(message).encode()

        def deserialize(self, payload):
            return eval(payload)

    registry.register_serializer("mine", Mine)
    assert FanwireChannelLayer(serializer_format="mine").serialize([1]) == b"[1]"
    original_serializers.registry.register_serializer("theirs", Mine)
    assert FanwireChannelLayer(serializer_format="theirs").deserialize(b"{1: 2}") == {1: 2}
    with pytest.raises(SerializerDoesNotExist):
        FanwireChannelLayer(serializer_format="nobodys")
    with pytest.raises(AssertionError):
        registry.register_serializer("wrong", str)
    with pytest.raises(ValueError, match="must be a list"):
        FanwireChannelLayer(symmetric_encryption_keys="key")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_hosts_share_names_as_channels_redis_has_it(count):
    from channels_redis.utils import _consistent_hash
    from fanwire.channels._hosts import index_of

    names = [f"asgi__group__{number}-ü" for number in range(2000)]
    assert [index_of(name, count) for name in names] == [_consistent_hash(name, count) for name in names]


async def test_two_hosts(make_layer, own_redis, shared_redis):
    hosts = [own_redis.url, ("127.0.0.1", shared_redis.port)]
    ours, theirs = make_layer(hosts=hosts), RedisPubSubChannelLayer(hosts=hosts)
    our_channel, their_channel = await ours.new_channel(), await theirs.new_channel()
    groups = [f"g{number}" for number in range(10)]
    for group in groups:
        await ours.group_add(group, our_channel)
        await theirs.group_add(group, their_channel)
    counts = [redis.cli("pubsub", "channels", "asgi__group__*").count("asgi") for redis in (own_redis, shared_redis)]
    assert min(counts) > 0 and sum(counts) == 10
    for group in groups:
        await ours.group_send(group, {"type": group})
        await theirs.group_send(group, {"type": group})
    for layer, channel in ((ours, our_channel), (theirs, their_channel)):
        got = [(await within(layer.receive(channel)))["type"] for _ in range(20)]
        assert sorted(got) == sorted(2 * groups)
    await theirs.flush()
    await ours.flush()


# ---- The interface


async def test_what_channels_looks_at(layer):
    assert isinstance(layer, BaseChannelLayer)
    for name in ("send", "receive", "new_channel", "group_add", "group_discard", "group_send", "flush"):
        assert inspect.iscoroutinefunction(getattr(layer, name))
    assert layer.extensions == ["groups", "flush"]
    assert (layer.expiry, layer.group_expiry, layer.prefix) == (60, 86400, "asgi")
    await layer.send("x", MESSAGE)
    assert [engine.health().ok for engine in layer.engines()] == [True]


def test_the_arguments_of_the_original(own_redis):
    layer = FanwireChannelLayer([own_redis.url], "p", "gone", "back", random_prefix_length=12, expiry=5, capacity=7)
    assert (layer.prefix, layer.on_disconnect, layer.on_reconnect, layer.capacity) == ("p", "gone", "back", 7)


HOSTS = [
    (None, "redis://localhost:6379", {}),
    ([], "redis://localhost:6379", {}),
    (["redis://h/2"], "redis://h/2", {}),
    ([("h", 7)], "redis://h:7", {}),
    ([["::1", 7]], "redis://[::1]:7", {}),
    ([{"host": "h"}], "redis://h:6379", {}),
    ([{"address": "redis://h", "db": 3, "password": "p"}], "redis://h", {"db": 3, "password": "p"}),
    ([{"path": "/tmp/a b.sock", "db": 1}], "unix:///tmp/a%20b.sock", {"db": 1}),
    ([{"host": "h", "ssl": True, "ssl_ca_certs": "ca.pem"}], "redis://h:6379", {"tls": True, "tls_ca_file": "ca.pem"}),
    (["rediss://h?ssl_cert_reqs=none&db=2"], "rediss://h?db=2", {"tls_verify": False}),
    ([{"address": "rediss://h", "ssl_check_hostname": False}], "rediss://h", {"tls_verify": "ca"}),
    (["redis://h?max_connections=5&health_check_interval=30"], "redis://h", {}),
    ([{"address": "redis://h", "socket_connect_timeout": 0.5}], "redis://h", {"connect_timeout_ms": 500}),
    ([{"host": "h", "credential_provider": UsernamePasswordCredentialProvider("u", "p")}], "redis://h:6379",
     {"username": "u", "password": "p"}),
    ([{"address": "redis://h", "offline": "fail", "retry_on_timeout": True}], "redis://h", {"offline": "fail"}),
]


@pytest.mark.parametrize("hosts, url, settings", HOSTS)
def test_hosts(hosts, url, settings):
    from fanwire.channels._hosts import hosts_of

    (host,) = hosts_of(hosts, {})
    assert (host.url, host.settings) == (url, settings)


def test_hosts_that_are_wrong():
    for hosts in ("redis://h", b"redis://h", {"host": "h"}):
        with pytest.raises(ValueError, match="must pass a list of Redis hosts"):
            FanwireChannelLayer(hosts=hosts)
    with pytest.raises(fanwire.InvalidUrlError):
        FanwireChannelLayer(hosts=["http://h"])
    with pytest.raises(fanwire.UnknownOptionError, match='did you mean "port"'):
        FanwireChannelLayer(hosts=[{"host": "h", "prot": 1}])
    with pytest.raises(fanwire.UnknownOptionError):
        FanwireChannelLayer(capcity=1)
    with pytest.raises(ValueError, match='ssl_cert_reqs must be "none", "optional" or "required", not \'nnoe\''):
        FanwireChannelLayer(hosts=["rediss://h?ssl_cert_reqs=nnoe"])
    with pytest.raises(ValueError) as raised:
        FanwireChannelLayer(hosts=[("h", 1, "secret")])
    assert "secret" not in str(raised.value)


def test_settings_are_for_each_host_that_does_not_say_otherwise(monkeypatch):
    monkeypatch.setenv("FANWIRE_NAMESPACE", "not here")
    hosts = ["redis://a", {"address": "redis://b", "offline": "queue"}]
    layer = FanwireChannelLayer(hosts=hosts, offline="fail", connect_timeout_ms=70)
    both = [fanwire.effective_settings(host.url, **host.settings) for host in layer._engines._hosts]
    assert [one["offline"] for one in both] == ["fail", "queue"]
    assert {one["connect_timeout_ms"] for one in both} == {"70"}
    assert {one["namespace"] for one in both} == {""}
