"""Clients that know several servers: of a cluster and of sentinels. And clients of other releases."""

import asyncio
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import fanwire
import pytest
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import valkey.asyncio.cluster
from conftest import DEADLINE_S, until
from redis_server import DEADLINE_S as PATIENCE_S
from redis_server import RedisServer, free_port

CLUSTERS = {
    "redis": lambda port: redis.asyncio.cluster.RedisCluster(host="127.0.0.1", port=port),
    "redis, text": lambda port: redis.asyncio.cluster.RedisCluster(host="127.0.0.1", port=port, decode_responses=True),
    "valkey": lambda port: valkey.asyncio.cluster.ValkeyCluster(host="127.0.0.1", port=port),
}


@pytest.fixture
def cluster():
    """Two nodes, each with half of the slots; what one is told both deliver."""
    nodes = []
    try:
        for _ in range(2):
            bus_port = str(free_port())
            nodes.append(RedisServer("--cluster-enabled", "yes", "--cluster-port", bus_port,
                                     "--cluster-require-full-coverage", "no"))
            nodes[-1].bus_port = bus_port
        nodes[0].cli("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        nodes[1].cli("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        nodes[0].cli("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port), nodes[1].bus_port)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


async def until_formed(nodes):
    await until(lambda: all("cluster_slots_ok:16384" in node.cli("CLUSTER", "INFO") for node in nodes))


@pytest.mark.parametrize("make", CLUSTERS)
async def test_a_cluster(cluster, channel, make):
    await until_formed(cluster)
    client = CLUSTERS[make](cluster[0].port)
    async with asyncio.timeout(2 * DEADLINE_S), fanwire.connect(backend=client, namespace="") as bus:
        stream = bus.subscribe(channel)
        await stream.ready
        assert await bus.publish(channel, b"\x00\xff") == 1
        assert (await anext(stream)).data == b"\x00\xff"
        for node in cluster:  # whichever it is subscribed at
            node.cli("PUBLISH", channel, "foreign")
        assert [(await anext(stream)).text for _ in cluster] == ["foreign"] * 2
        assert set(await asyncio.gather(*(bus.publish(channel, str(i)) for i in range(500)))) == {1}
        assert [(await anext(stream)).text for _ in range(500)] == [str(i) for i in range(500)]
        assert await bus.numsub([channel, "nobody"]) == [1, 0]
    for node in cluster:
        await until(lambda node=node: not node.cli("PUBSUB", "CHANNELS"))
    assert await client.ping()
    await client.aclose()


async def test_a_node_of_a_cluster_that_dies(cluster, channel):
    await until_formed(cluster)
    client = CLUSTERS["redis"](cluster[0].port)
    async with asyncio.timeout(3 * DEADLINE_S), fanwire.connect(backend=client, namespace="") as bus:
        stream = bus.subscribe(channel)
        await stream.ready
        items = stream.events()
        assert (await anext(items)).kind == "active"
        its_own = next(node for node in cluster if node.cli("PUBSUB", "CHANNELS"))
        its_own.kill()
        assert [(await anext(items)).kind for _ in range(3)] == ["lost", "gap", "resumed"]
        assert await bus.publish(channel, "by the other one") == 1
        assert (await anext(items)).text == "by the other one"
    await client.aclose()


@pytest.fixture
def sentinel(own_redis):
    """(port of a sentinel, the master that it names "main")."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fanwire-sentinel-"))
    port = free_port()
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {own_redis.port} 1\n"
        "sentinel down-after-milliseconds main 60000\n"
    )
    process = subprocess.Popen(["redis-server", str(folder / "sentinel.conf"), "--sentinel"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port, own_redis
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


async def test_a_client_of_sentinels(sentinel, channel):
    port, master = sentinel
    sentinels = redis.asyncio.sentinel.Sentinel([("127.0.0.1", port)])
    client = sentinels.master_for("main")
    async with asyncio.timeout(3 * DEADLINE_S), fanwire.open(backend=client) as bus:
        stream = bus.subscribe(channel)
        await stream.ready
        items = stream.events()
        assert (await anext(items)).kind == "active"
        assert await bus.publish(channel, "x") == 1
        assert (await anext(items)).text == "x"
        master.kill()
        assert (await anext(items)).kind == "lost"
        master.start()
        assert [(await anext(items)).kind for _ in range(2)] == ["gap", "resumed"]
        assert await bus.publish(channel, "y") == 1
        assert (await anext(items)).text == "y"
    for each in (client, *sentinels.sentinels):
        await each.aclose()


RELEASES = os.environ.get("TEST_CLIENT_RELEASES", "").split()  # "redis==5.0.8 redis==6.4.0 redis==8.1.0 valkey==6.0.0"


@pytest.mark.skipif(not RELEASES, reason="TEST_CLIENT_RELEASES names none; they come from PyPI")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("release", RELEASES)
def test_other_releases_of_the_clients(release, tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", tmp_path, release], check=True)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "TEST_CLIENT_RELEASES": ""}
    files = ["test_backends.py", "test_backends_servers.py"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *files]
    subprocess.run(command, check=True, cwd=pathlib.Path(__file__).parent, env=environment, timeout=10 * PATIENCE_S)
