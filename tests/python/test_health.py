"""Credentials that change, and what a bus says about itself."""

import dataclasses
import json

import fanwire
import pytest
from conftest import until, until_blocking, within
from prometheus_client.parser import text_string_to_metric_families
from redis_server import RawConnection, RedisServer

FAST = {"max_reconnect_delay_ms": 50, "reconnect_delay_ms": 20}
RULES = ["+@all", "allchannels"]


@pytest.fixture
def guarded_redis():
    """A Redis with a password and two users."""
    server = RedisServer("--requirepass", "sesame")
    with RawConnection(server.port) as raw:
        assert raw.command("AUTH", "sesame") == b"OK"
        assert raw.command("ACL", "SETUSER", "alice", "on", ">one", *RULES) == b"OK"
        assert raw.command("ACL", "SETUSER", "bob", "on", ">three", *RULES) == b"OK"
        server.admin = raw
        yield server
    server.stop()


def users(server):
    """Who is logged in on the engine's connections, by Redis's account."""
    clients = [
        dict(word.split("=", 1) for word in line.split())
        for line in server.admin.command("CLIENT", "LIST").decode().splitlines()
    ]
    return [client["user"] for client in clients if client["name"] == "fanwire"]


def logins(server):
    for line in server.admin.command("INFO", "commandstats").decode().splitlines():
        if line.startswith("cmdstat_auth:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0


async def test_a_new_password(guarded_redis):
    events = []
    url = f"redis://alice:one@127.0.0.1:{guarded_redis.port}"
    async with fanwire.connect(url, on_event=events.append, **FAST) as bus:
        stream = bus.subscribe("a")
        await within(stream.ready)
        assert guarded_redis.admin.command("ACL", "SETUSER", "alice", ">two", "<one") == b"OK"
        before = logins(guarded_redis)
        bus.set_credentials("alice", "two")
        number = 0
        while logins(guarded_redis) == before:  # publishes go on all the while
            assert await within(bus.publish("a", number)) == 1
            number += 1
        assert await within(bus.publish("a", "last")) == 1
        assert [(await within(anext(stream))).text for _ in range(number)] == [str(n) for n in range(number)]
        assert (await within(anext(stream))).text == "last"
        assert [event.kind for event in events] == ["connected"]
        assert bus.stats()["disconnects"] == 0 and users(guarded_redis) == ["alice", "alice"]

        # New connections use it as well.
        assert guarded_redis.admin.command("CLIENT", "KILL", "USER", "alice") == 2
        await until(lambda: bus.stats()["connects"] == 2 and stream.state == "active")
        assert await within(bus.publish("a", "again")) == 1
        assert (await within(anext(stream))).text == "again"
        assert "error" not in [event.kind for event in events]


def test_another_user(guarded_redis):
    url = f"redis://alice:one@127.0.0.1:{guarded_redis.port}"
    with fanwire.Client(url, **FAST) as client:
        stream = client.subscribe("a")
        stream.wait_ready()
        client.set_credentials("bob", "three")
        events = stream.events()
        items = [next(events) for _ in range(4)]
        assert [item.kind for item in items] == ["active", "lost", "gap", "resumed"]
        assert (items[2].reason, items[2].count) == ("reconnect", None)
        until_blocking(lambda: users(guarded_redis) == ["bob", "bob"])
        assert client.publish("a", "x") == 1
        assert stream.get(timeout=10).text == "x"
        client.set_credentials(None, "sesame")
        until_blocking(lambda: users(guarded_redis) == ["default", "default"])
        until_blocking(lambda: client.connected and stream.state == "active")
        assert client.publish("a", "y") == 1


def test_a_wrong_password_leaves_all_as_it_was(guarded_redis):
    events = []
    url = f"redis://alice:one@127.0.0.1:{guarded_redis.port}"
    with fanwire.Client(url, on_event=events.append, **FAST) as client:
        stream = client.subscribe("a", on_event=events.append)
        stream.wait_ready()
        client.set_credentials("alice", "wrong")
        until_blocking(lambda: "error" in [event.kind for event in events])
        error = next(event for event in events if event.kind == "error")
        assert isinstance(error.error, fanwire.AuthFailedError)
        assert "wrong" not in str(error.error)
        assert client.publish("a", "x") == 1
        assert stream.get(timeout=10).text == "x"
        assert users(guarded_redis) == ["alice", "alice"] and stream.state == "active"
        assert "lost" not in [event.kind for event in events] and client.stats()["disconnects"] == 0


def test_a_wrong_user_and_then_the_right_one(guarded_redis):
    """Both links stay as they are until the publish link has shown that the login is right."""
    events = []
    url = f"redis://alice:one@127.0.0.1:{guarded_redis.port}"
    with fanwire.Client(url, on_event=events.append, **FAST) as client:
        stream = client.subscribe("a")
        stream.wait_ready()
        client.set_credentials("nobody", "three")
        until_blocking(lambda: "error" in [event.kind for event in events])
        assert {type(event.error) for event in events if event.kind == "error"} == {fanwire.AuthFailedError}
        assert client.publish("a", "still") == 1
        assert stream.get(timeout=10).text == "still"
        assert users(guarded_redis) == ["alice", "alice"] and client.health().ok
        client.set_credentials("bob", "three")
        until_blocking(lambda: client.stats()["disconnects"] == 1)
        until_blocking(lambda: client.connected and stream.state == "active")
        assert client.publish("a", "x") == 1
        assert stream.get(timeout=10).text == "x"
        until_blocking(lambda: users(guarded_redis) == ["bob", "bob"])


async def test_credentials_while_it_waits_to_reconnect(guarded_redis):
    hour = {"reconnect_delay_ms": 3600000, "max_reconnect_delay_ms": 3600000}
    async with fanwire.connect(f"redis://alice:one@127.0.0.1:{guarded_redis.port}", **hour) as bus:
        assert guarded_redis.admin.command("ACL", "SETUSER", "alice", ">two", "<one") == b"OK"
        assert guarded_redis.admin.command("CLIENT", "KILL", "USER", "alice") == 2
        await until(lambda: bus.health().verdict is fanwire.Verdict.DOWN)
        bus.set_credentials("alice", "two")
        await until(lambda: bus.connected)
        assert await within(bus.publish("a", "x")) == 0


async def test_credentials_after_a_failed_login(guarded_redis):
    """A bus whose password was changed behind its back comes back once it is told the new one."""
    events = []
    url = f"redis://alice:one@127.0.0.1:{guarded_redis.port}"
    async with fanwire.connect(url, on_event=events.append, **FAST) as bus:
        assert guarded_redis.admin.command("ACL", "SETUSER", "alice", ">two", "<one") == b"OK"
        assert guarded_redis.admin.command("CLIENT", "KILL", "USER", "alice") == 2
        await until(lambda: "error" in [event.kind for event in events])
        assert bus.health().verdict is fanwire.Verdict.DOWN
        await until(lambda: isinstance(bus.health().error, fanwire.AuthFailedError))
        bus.set_credentials("alice", "two")
        await until(lambda: bus.connected)


@pytest.mark.parametrize(
    "login, word",
    [(("a\0b", "x"), "username"), (("a", "x\0y"), "password"), ((["a"], "x"), "username")]
    + [(("a", b"x"), "password"), (("a" * 513, "x"), "username"), (("a", "x" * 4097), "password")]
    + [(("\ud800", "x"), "username")],
)
def test_bad_credentials(memory_url, login, word):
    with fanwire.Client(memory_url) as client:
        with pytest.raises(fanwire.InvalidOptionError, match=word):
            client.set_credentials(*login)
        client.set_credentials("a", "x")
        assert client.publish("a", "x") == 0
    with pytest.raises(fanwire.ClosedError):
        client.set_credentials("a", "x")


def test_health_is_ok(url, channel):
    with fanwire.Client(url, probe_interval_ms=20) as client:
        client.subscribe(channel).wait_ready()
        until_blocking(lambda: client.health().ok)
        health = client.health()
        assert (health.verdict, health.verdict.value, health.error) == (fanwire.Verdict.OK, "ok", None)
        assert health.publish_link is True and health.subscribe_link is True
        assert (health.unconfirmed, health.refused) == (0, 0)
        assert health.text
        if url.startswith("redis"):
            assert health.silence_ms < 20_000 and health.probe_age_ms < 20_000 and health.probe_us > 0
            until_blocking(lambda: client.stats()["probes"] > 3)
            assert client.stats()["probe_failures"] == 0
        with pytest.raises(dataclasses.FrozenInstanceError):
            health.text = "another"
    health = client.health()
    assert health.verdict is fanwire.Verdict.DOWN and isinstance(health.error, fanwire.ClosedError)


def test_health_without_a_probe(redis):
    with fanwire.Client(redis.url) as client:
        health = client.health()
        assert health.ok and health.probe_age_ms is None and health.probe_us is None


async def test_health_is_degraded(guarded_redis):
    rules = ["on", ">pw", "+@all", "resetchannels", "&ws:open"]
    assert guarded_redis.admin.command("ACL", "SETUSER", "carol", *rules) == b"OK"
    async with fanwire.connect(f"redis://carol:pw@127.0.0.1:{guarded_redis.port}") as bus:
        allowed, refused = bus.subscribe("open"), bus.subscribe("secret")
        await within(allowed.ready)
        with pytest.raises(fanwire.NoPermissionError):
            await within(refused.ready)
        health = bus.health()
        assert health.verdict is fanwire.Verdict.DEGRADED and not health.ok
        assert isinstance(health.error, fanwire.NoPermissionError)
        assert (health.unconfirmed, health.refused) == (1, 1)
        assert health.publish_link and health.subscribe_link
        assert "1 of 2" in health.text and str(health.error) == health.text


async def test_health_is_down(own_redis):
    async with fanwire.connect(own_redis.url, **FAST) as bus:
        assert bus.health().ok
        own_redis.kill()
        await until(lambda: bus.health().verdict is fanwire.Verdict.DOWN)
        await until(lambda: not bus.health().publish_link and not bus.health().subscribe_link)
        assert isinstance(bus.health().error, fanwire.FanwireError)


def test_latency(url, channel):
    with fanwire.Client(url) as client:
        assert client.latency().publish == fanwire.Latency(0, 0, 0, (0,) * 28)
        assert client.latency().delivery.percentile(50) is None
        streams = [client.subscribe(channel) for _ in range(2)]
        for stream in streams:
            stream.wait_ready()
        for number in range(50):
            client.publish(channel, number)
        for stream in streams:
            for _ in range(50):
                stream.get(timeout=10)
        latency = client.latency()
        assert (latency.publish.count, latency.delivery.count) == (50, 100)
        for histogram in latency.publish, latency.delivery:
            assert sum(histogram.buckets) == histogram.count and len(histogram.buckets) == 28
            assert histogram.max_us <= histogram.sum_us <= histogram.max_us * histogram.count
            assert histogram.percentile(100) == histogram.max_us
            assert histogram.percentile(0) <= histogram.percentile(50) <= histogram.percentile(99.9)


def test_percentiles():
    buckets = (1, 0, 2, 0, 0, 1) + (0,) * 22  # one up to 1 us, two up to 4, one up to 32
    latency = fanwire.Latency(4, 30, 21, buckets)
    assert [latency.percentile(p) for p in (0, 25, 25.1, 50, 75, 76, 100)] == [1, 1, 4, 4, 4, 21, 21]
    everything_slow = fanwire.Latency(1, 10**9, 10**9, (0,) * 27 + (1,))
    assert everything_slow.percentile(50) == 10**9
    for wrong in -1, 100.1, "50", None, True, float("nan"):
        with pytest.raises(fanwire.InvalidArgumentError, match="percent"):
            latency.percentile(wrong)


def test_metrics_as_json(url, channel):
    with fanwire.Client(url, probe_interval_ms=20) as client:
        stream = client.subscribe(channel)
        stream.wait_ready()
        client.publish(channel, "x")
        stream.get(timeout=10)
        until_blocking(lambda: client.health().ok)
        metrics = json.loads(client.metrics("json"))
        stats = client.stats()
        assert set(stats) <= set(metrics)
        assert set(metrics) - set(stats) == {"health", "publish_latency", "delivery_latency"}
        fixed = ["connected", "connects", "subscriptions", "gaps", "publish_link", "dropped"]
        assert [metrics[name] for name in fixed] == [stats[name] for name in fixed]
        health = metrics["health"]
        assert (health["verdict"], health["status"], health["refused"]) == ("ok", "OK", 0)
        latency = client.latency().publish
        assert metrics["publish_latency"]["count"] == latency.count
        assert metrics["publish_latency"]["p50_us"] == latency.percentile(50)
        assert metrics["publish_latency"]["max_us"] == latency.max_us


def families_of(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


async def test_metrics_for_prometheus(redis, channel):
    name = 'client"with\\odd{name}'
    async with fanwire.connect(redis.url, client_name=name, namespace="a b") as bus:
        got = []
        await within(bus.subscribe(channel, got.append).ready)
        for _ in range(10):
            await within(bus.publish(channel, "x"))
        await until(lambda: len(got) == 10)
        text = bus.metrics()
        assert text == bus.metrics("prometheus") or bus.stats()["bytes_in"] > 0  # a PONG may come in between
        stats = bus.stats()
    families = families_of(text)
    assert text.endswith("\n")
    for family in families.values():
        assert family.documentation and family.samples
        for sample in family.samples:
            assert (sample.labels["client"], sample.labels["namespace"]) == (name, "a b")

    def value(family):
        (sample,) = families[family].samples
        return sample.value

    for stat in stats:
        assert "fanwire_" + stat in families, stat
    assert families["fanwire_published"].type == "counter" and value("fanwire_published") == 10
    assert families["fanwire_connected"].type == "gauge" and value("fanwire_connected") == 1
    health = {sample.labels["verdict"]: sample.value for sample in families["fanwire_health"].samples}
    assert health == {"ok": 1, "degraded": 0, "down": 0}

    latency = families["fanwire_publish_latency_seconds"]
    assert latency.type == "histogram"
    buckets = [s for s in latency.samples if s.name.endswith("_bucket")]
    bounds = [float(s.labels["le"]) for s in buckets]
    assert bounds == sorted(bounds) and bounds[-1] == float("inf") and len(bounds) == 28
    values = [s.value for s in buckets]
    assert values == sorted(values) and values[-1] == 10
    assert [s.value for s in latency.samples if s.name.endswith("_count")] == [10]


@pytest.mark.parametrize("format", ["xml", "", "JSON", None, 1])
def test_metrics_in_no_other_format(memory_url, format):
    with fanwire.Client(memory_url) as client:
        with pytest.raises(fanwire.InvalidArgumentError, match="prometheus"):
            client.metrics(format)


def test_metrics_after_closing(memory_url):
    with fanwire.Client(memory_url) as client:
        client.publish("a", "x")
    assert json.loads(client.metrics("json"))["health"]["verdict"] == "down"
    assert families_of(client.metrics())["fanwire_published"].samples[0].value == 1
