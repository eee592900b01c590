"""A client of the application's in the place of the connections of a Client or an Engine; and blocking clients everywhere."""

import asyncio
import threading

import fanwire
import pytest
import redis as redis_py
import redis.asyncio
import redis.cluster
import valkey
from child import run
from conftest import DEADLINE_S, until_blocking, within
from fanwire.backends import BlockingRedisBackend, RedisBackend, backend_of
from redis_server import free_port
from test_backends import Memory, kinds
from test_backends_servers import cluster, until_formed  # noqa: F401

_made = []


def keep(client):
    """Closes it after the test."""
    _made.append(client)
    return client


BLOCKING = {
    "redis": lambda port: redis_py.Redis(port=port),
    "redis, text": lambda port: redis_py.Redis(port=port, decode_responses=True),
    "redis, RESP3": lambda port: redis_py.Redis(port=port, protocol=3),
    "redis, by URL": lambda port: redis_py.from_url(f"redis://127.0.0.1:{port}/1", health_check_interval=1),
    "redis, blocking pool": lambda port: redis_py.Redis(
        connection_pool=redis_py.BlockingConnectionPool(port=port, max_connections=2)
    ),
    "valkey": lambda port: valkey.Valkey(port=port),
}
CLIENTS = BLOCKING | {"redis.asyncio": lambda port: redis.asyncio.Redis(port=port)}
THREADS = ("fanwire-backend", "fanwire-backend-calls", "fanwire-backend-reads")


@pytest.fixture(params=CLIENTS)
def make_client(request):
    return lambda port: keep(CLIENTS[request.param](port))


@pytest.fixture(params=BLOCKING)
def make_blocking(request):
    return lambda port: keep(BLOCKING[request.param](port))


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    while _made:
        client = _made.pop()
        if BlockingRedisBackend.can_use(client):  # the others were closed in their loop
            client.close()
    until_blocking(lambda: not [thread for thread in threading.enumerate() if thread.name in THREADS])


def test_a_client_carries_messages_both_ways(redis, raw, channel, make_client):
    client = make_client(redis.port)
    with fanwire.Client(backend=client, namespace="b") as bus:
        handled, patterns = [], []
        with bus.subscribe(channel) as stream:
            bus.psubscribe(f"{channel}*", patterns.append).wait_ready()
            bus.subscribe(channel, handled.append).wait_ready()
            for value in ("text", b"\x00\xff", {"n": 1}):
                assert bus.publish(channel, value) == 2
            assert raw.command("PUBLISH", f"b:{channel}", "foreign") == 2
            received = [stream.get(DEADLINE_S) for _ in range(4)]
            assert [message.data for message in received] == [b"text", b"\x00\xff", b'{"n":1}', b"foreign"]
            until_blocking(lambda: len(patterns) == len(handled) == 4)
            assert patterns[1].pattern == f"{channel}*"
            assert bus.numsub([channel, "nobody"]) == [1, 0]
            for i in range(2500):
                bus.publish_nowait(channel, str(i))
            assert [stream.get(DEADLINE_S).text for _ in range(2500)] == [str(i) for i in range(2500)]
            big = bytes(range(256)) * 20_000
            assert bus.publish(channel, big) == 2
            assert stream.get(DEADLINE_S).data == big
        assert bus.health().verdict == "ok"
    assert not raw.command("PUBSUB", "CHANNELS", f"b:{channel}*")
    assert raw.command("PUBSUB", "NUMPAT") == 0


def test_the_client_stays_open_and_others_use_it_meanwhile(redis, channel, make_blocking):
    client = make_blocking(redis.port)
    with fanwire.Client(backend=client) as bus, bus.subscribe(channel) as stream:
        stream.wait_ready()
        for i in range(100):
            assert client.publish(f"ws:{channel}", str(i)) == 1
            assert bus.publish(channel, "ours") == 1
        assert [stream.get(DEADLINE_S).text for _ in range(200)][::2] == [str(i) for i in range(100)]
    assert client.ping()


async def test_a_blocking_client_in_an_event_loop(redis, channel, make_blocking):
    client = make_blocking(redis.port)
    async with asyncio.timeout(DEADLINE_S), fanwire.connect(backend=client) as bus, bus.subscribe(channel) as stream:
        assert set(await asyncio.gather(*(bus.publish(channel, str(i)) for i in range(2500)))) == {1}
        assert [(await anext(stream)).text for _ in range(2500)] == [str(i) for i in range(2500)]
        assert await bus.numsub([channel, "nobody"]) == [1, 0]


def test_an_engine_that_threads_and_loops_share(redis, channel, make_client):
    async def publish_and_receive(number):
        async with engine.bus().subscribe(channel) as stream:
            assert await engine.bus().publish(channel, str(number)) == 1
            return (await within(anext(stream))).text

    with fanwire.Engine(backend=make_client(redis.port)) as engine:
        engine.wait_connected(DEADLINE_S)
        assert [asyncio.run(publish_and_receive(i)) for i in range(3)] == ["0", "1", "2"]
        assert engine.publish(f"{channel}-other", "from a thread") == 0


def test_requests(redis, channel, make_client):
    with fanwire.Client(backend=make_client(redis.port)) as bus:
        bus.subscribe(channel, lambda message: message.reply("fine")).wait_ready()
        assert [reply.text for reply in bus.request(channel, "?", expect=1, timeout=DEADLINE_S).all()] == ["fine"]


def test_redis_is_killed_and_started_again(own_redis, channel, make_client):
    told = []
    with fanwire.Client(backend=make_client(own_redis.port), on_event=told.append) as bus:
        stream = bus.subscribe(channel)
        stream.wait_ready()
        items = stream.events()
        assert next(items).kind == "active"
        for again in range(3):
            own_redis.kill()
            lost = next(items)
            assert lost.kind == "lost"
            assert isinstance(lost.error, fanwire.ConnectionLostError)
            outcomes = []
            waiting = threading.Thread(target=lambda: outcomes.append(bus.publish(channel, "made while it was away")))
            waiting.start()
            own_redis.start()
            gap = next(items)
            assert (gap.kind, gap.reason, gap.count) == ("gap", "reconnect", None)
            assert next(items).kind == "resumed"
            waiting.join()
            assert outcomes == [1]
            assert next(items).text == "made while it was away"
        until_blocking(lambda: kinds(told).count("connected") == 4)
        assert kinds(told).count("disconnected") == 3


def test_a_connection_that_the_server_kills(redis, raw, channel, make_client):
    with fanwire.Client(backend=make_client(redis.port)) as bus:
        stream = bus.subscribe(channel)
        stream.wait_ready()
        items = stream.events()
        next(items)
        raw.command("CLIENT", "KILL", "TYPE", "pubsub")
        assert [next(items).kind for _ in range(3)] == ["lost", "gap", "resumed"]
        assert bus.publish(channel, "goes on") == 1
        assert next(items).text == "goes on"


def test_what_redis_refuses(own_redis):
    own_redis.cli("ACL", "SETUSER", "bob", "on", ">pw", "resetchannels", "&ws:open", "+@all")
    client = keep(redis_py.Redis(port=own_redis.port, username="bob", password="pw"))
    with fanwire.Client(backend=client) as bus:
        with pytest.raises(fanwire.NoPermissionError, match="NOPERM|permission"):
            bus.subscribe("closed").wait_ready()
        with pytest.raises(fanwire.NoPermissionError):
            bus.publish("closed", "x")
        with bus.subscribe("open") as stream:
            stream.wait_ready()
            assert bus.publish("open", "fine") == 1
            assert stream.get(DEADLINE_S).text == "fine"


def test_a_login_that_redis_refuses(redis):
    for make in (redis_py.Redis, redis_py.asyncio.Redis):
        with pytest.raises(fanwire.AuthFailedError, match="password"):
            fanwire.Client(backend=keep(make(port=redis.port, username="nobody", password="wrong")))


def test_no_server(make_client):
    port = free_port()
    with pytest.raises(fanwire.ConnectionLostError, match=str(port)):
        fanwire.Client(backend=make_client(port))
    with fanwire.Client(backend=make_client(port), wait=False, publish_timeout_ms=100) as bus:
        with pytest.raises(fanwire.ConnectionLostError):
            bus.wait_connected(DEADLINE_S)
        with pytest.raises(fanwire.TimeoutError):
            bus.publish("a", "x")


@pytest.mark.parametrize("package", ["redis", "redis.asyncio"])
def test_tls_is_that_of_the_client(tls_url, certificates, channel, package):
    """The connection that subscribes has its settings, and is read and written while much goes both ways."""
    module = redis_py if package == "redis" else redis.asyncio
    ca_file = str(certificates / "ca.pem")
    with fanwire.Client(backend=keep(module.from_url(tls_url, ssl_ca_certs=ca_file))) as bus:
        with bus.subscribe(channel) as stream:
            stream.wait_ready()
            payload = bytes(range(256)) * 4000
            for _ in range(20):
                assert bus.publish(channel, payload) == 1
                bus.subscribe(f"{channel}-other").wait_ready()
                assert stream.get(DEADLINE_S).data == payload
    other = keep(module.from_url(tls_url, ssl_ca_certs=str(certificates / "other-ca.pem")))
    with pytest.raises(fanwire.ConnectionLostError, match="certificate verify failed"):
        fanwire.Client(backend=other)


async def test_a_sync_cluster(cluster, channel):  # noqa: F811
    await until_formed(cluster)
    client = keep(redis.cluster.RedisCluster(host="127.0.0.1", port=cluster[0].port))
    async with asyncio.timeout(2 * DEADLINE_S), fanwire.connect(backend=client, namespace="") as bus:
        async with bus.subscribe(channel) as stream:
            assert set(await asyncio.gather(*(bus.publish(channel, str(i)) for i in range(500)))) == {1}
            assert [(await anext(stream)).text for _ in range(500)] == [str(i) for i in range(500)]
            assert await bus.numsub([channel, "nobody"]) == [1, 0]
            its_own = next(node for node in cluster if node.cli("PUBSUB", "CHANNELS", channel))
            items = stream.events()
            its_own.kill()
            assert [(await anext(items)).kind for _ in range(3)] == ["lost", "gap", "resumed"]
            assert await bus.publish(channel, "by the other one") == 1
            assert (await anext(items)).text == "by the other one"


def test_an_object_of_the_applications():
    memory = Memory()
    threads = set()
    memory.check = lambda: threads.add(threading.current_thread().name)
    with fanwire.Client(backend=memory) as bus, bus.subscribe("a") as stream:
        stream.wait_ready()
        assert bus.publish("a", "x") == 1
        assert stream.get(DEADLINE_S).text == "x"
        assert bus.numsub(["a", "b"]) == [1, 0]
        memory.reports.message(b"ws:a", b"from another thread")
        assert stream.get(DEADLINE_S).text == "from another thread"
    assert memory.is_closed
    assert threads == {"fanwire-backend"}


def test_what_it_is_called():
    async def of_its_loop():
        async with fanwire.open(backend=Memory()) as bus:
            await bus.opened
            return repr(bus), repr(engine.bus())

    with fanwire.Engine(backend=Memory()) as engine:
        engine.wait_connected(DEADLINE_S)
        assert repr(engine) == "<fanwire.Engine over Memory, connected>"
        assert asyncio.run(of_its_loop()) == ("<fanwire.Bus over Memory, connected>",) * 2
    assert repr(engine) == "<fanwire.Engine over Memory, closed>"


def test_a_backend_that_never_closes():
    class Stuck(Memory):
        was_cancelled = False

        async def close(self):
            try:
                await asyncio.Event().wait()
            finally:
                self.was_cancelled = True

    memory = Stuck()
    fanwire.Client(backend=memory).close(0.1)
    until_blocking(lambda: memory.was_cancelled)


def test_a_backend_that_ends_its_thread(caplog):
    class Exits(Memory):
        async def publish(self, channel, payload):
            raise SystemExit(3)

    with fanwire.Client(backend=Exits()) as bus:
        with pytest.raises(fanwire.OutcomeUnknownError):
            bus.publish("a", "x")
        until_blocking(lambda: not bus.connected)
    assert "the thread of a backend has ended" in caplog.text


def test_a_client_that_is_forgotten():
    memory = Memory()
    bus = fanwire.Client(backend=memory)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del bus
    until_blocking(lambda: memory.is_closed)


def test_a_call_that_never_returns(redis, channel):
    """Messages come all the same."""
    client = keep(redis_py.Redis(port=redis.port))
    gate, called, real = threading.Event(), threading.Event(), client.execute_command

    def execute(*arguments, **options):
        if arguments[2:] == (b"stuck",):
            called.set()
            gate.wait(DEADLINE_S)
        return real(*arguments, **options)

    client.execute_command = execute
    with fanwire.Client(backend=client) as bus, bus.subscribe(channel) as stream:
        stream.wait_ready()
        bus.publish_nowait(channel, "stuck")
        until_blocking(called.is_set)
        redis.cli("PUBLISH", f"ws:{channel}", "comes all the same")
        assert stream.get(DEADLINE_S).text == "comes all the same"
        gate.set()
        assert stream.get(DEADLINE_S).text == "stuck"


def test_which_clients():
    assert type(backend_of(redis_py.Redis())) is BlockingRedisBackend
    assert BlockingRedisBackend.can_use(valkey.Valkey())
    assert not BlockingRedisBackend.can_use(redis.asyncio.Redis())
    client = redis_py.Redis()
    for wrong in (client.pipeline(), client.pubsub(), redis.asyncio.Redis().pipeline()):
        with pytest.raises(TypeError, match=f"{type(wrong).__name__} is not a client of redis or valkey"):
            backend_of(wrong)
    for wrong in (redis_py.Redis, Memory, RedisBackend):
        with pytest.raises(TypeError, match=f"must be an object, not the class .*{wrong.__name__}"):
            backend_of(wrong)


def test_a_backend_for_two_at_once(redis):
    client = keep(redis_py.Redis(port=redis.port))
    backend = BlockingRedisBackend(client)
    with fanwire.Client(backend=backend) as bus:
        with pytest.raises(fanwire.InvalidArgumentError, match="in use by another bus"):
            fanwire.Client(backend=backend)
        assert bus.publish("a", "x") == 0
    with fanwire.Client(backend=backend) as bus, fanwire.Client(backend=client) as other:  # afterwards it may
        assert bus.publish("a", "x") == other.publish("a", "x") == 0


def test_an_asyncio_client_that_another_loop_has_used(redis):
    async def use():
        assert await client.ping()

    client = redis_py.asyncio.Redis(port=redis.port)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use())
    with pytest.raises(fanwire.ConnectionLostError, match="connections of another event loop"):
        fanwire.Client(backend=client)
    loop.run_until_complete(client.aclose())
    loop.close()


def test_a_fork_and_the_end_of_the_process(redis):
    done = run(
        """
import os, redis, sys

client = redis.Redis.from_url(url)
bus = fanwire.Client(backend=client)
stream = bus.subscribe("a")
stream.wait_ready()
pid = os.fork()
if pid == 0:
    try:
        bus.publish("a", "x")
    except fanwire.ForkedError as error:
        print("refused", flush=True)
    own = fanwire.Client(backend=redis.Redis.from_url(url))
    print(own.publish("a", "from the child"), flush=True)
    own.close()
    sys.exit()
os.waitpid(pid, 0)
print(stream.get().text, bus.publish("a", "x"))
print(bus.stats()["disconnects"])
""",  # and ends with all of it open
        redis.url,
        options=(),
    )
    assert (done.stdout, done.stderr) == ("refused\n1\nfrom the child 1\n0\n", "")


@pytest.mark.parametrize("patch", ["gevent.monkey.patch_all()", "eventlet.monkey_patch()"])
def test_greenlets_have_no_thread_for_it(patch):
    done = run(
        f"""
import {patch.split(".monkey")[0]}{".monkey" if "gevent" in patch else ""}
{patch}
try:
    fanwire.Client(backend=__import__("redis").Redis())
except fanwire.InvalidArgumentError as error:
    print(error)
""",
        "",
        options=("-W", "ignore"),
    )
    assert done.stdout == "a backend works in a thread of its own, and threads are greenlets here: give a URL instead\n"
