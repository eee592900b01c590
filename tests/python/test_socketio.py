"""fanwire.socketio: client managers of python-socketio, alone and in fleets with its own."""

import asyncio
import gc
import json
import pickle
import subprocess
import sys
import threading

import child
import fanwire
import fanwire.socketio
import pytest
import socketio
from conftest import until, until_blocking, within
from fanwire.socketio import AsyncFanwireManager, AsyncRedisManager, FanwireManager, RedisManager
from fleet import Member, heard_again
from redis_server import free_port
from socketio.async_pubsub_manager import AsyncPubSubManager


class Log:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.errors = []

    def error(self, text, **_):
        self.errors.append(text)

    exception = error

    def info(self, *_):
        pass

    debug = warning = info


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def manager(redis, channel, log):
    return FanwireManager(redis.url, channel, write_only=True, logger=log)


@pytest.fixture
def async_manager(redis, channel, log):
    return AsyncFanwireManager(redis.url, channel, write_only=True, logger=log)


def received(raw, channel):
    while True:
        kind, name, data = raw.reply()
        if kind == b"message" and name == channel.encode():
            return json.loads(data)


def test_they_are_managers_and_have_the_names_of_the_originals():
    assert issubclass(FanwireManager, socketio.PubSubManager) and RedisManager is FanwireManager
    assert issubclass(AsyncFanwireManager, AsyncPubSubManager) and AsyncRedisManager is AsyncFanwireManager


def test_redis_options_are_those_that_the_url_does_not_give():
    from fanwire._faces import not_in_url, settings_of_options

    options = {"host": "other", "port": 2, "password": "q", "db": 1, "ssl": True, "max_connections": 7}
    options = settings_of_options(options)
    assert not_in_url(options, "redis://:p@h/0") == {"port": 2, "tls": True}
    assert not_in_url(options, "unix:///s") == {"host": "other", "port": 2, "password": "q", "tls": True}
    assert not_in_url(options, "redis://") == options
    assert not_in_url(options, "redis+sentinel://a:1,b:2/0/x") == {"password": "q", "tls": True}


@pytest.mark.parametrize("kind", [FanwireManager, AsyncFanwireManager])
def test_the_arguments_are_those_of_the_originals(kind):
    manager = kind("redis://h", "there", True, "log", "json", {"password": "p", "socket_keepalive": True}, db=3)
    assert (manager.channel, manager.write_only, manager.logger, manager.json) == ("there", True, "log", "json")
    assert (manager._redis_options["password"], manager._settings) == ("p", {"db": 3})
    manager = kind()
    assert (manager.channel, manager.write_only, manager._given) == ("socketio", False, "redis://localhost:6379/0")
    assert not manager._engines  # nothing is opened


ARGUMENTS = [
    ("event", {"a": 1}, {}),
    ("event", ("two", 3), {"room": "room", "namespace": "/n", "skip_sid": "sid"}),
    ("event", None, {"to": ["r1", "r2"]}),
    ("event", [1, [2]], {}),
    ("event", b"\x00\xff", {}),
    ("event", {"file": b"\x80", "n": 1}, {"room": "room"}),
    ("ünï", "\0", {}),
]


@pytest.mark.parametrize(("event", "data", "keywords"), ARGUMENTS)
async def test_what_is_sent_is_what_the_originals_send(
    redis, raw, channel, event, data, keywords, manager, async_manager
):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    original = socketio.RedisManager(redis.url, channel, write_only=True)
    original.emit(event, data, **keywords)
    expected = received(raw, channel)
    manager.emit(event, data, **keywords)
    await async_manager.emit(event, data, **keywords)
    for ours in manager, async_manager:
        assert received(raw, channel) == expected | {"host_id": ours.host_id}
    original.redis.close()


async def test_the_json_given_is_used(redis, raw, channel):
    class Module:
        loads = staticmethod(json.loads)

        @staticmethod
        def dumps(value):
            return json.dumps({"method": value["method"], "mine": True})

    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    manager = FanwireManager(redis.url, channel, write_only=True, json=Module)
    manager.emit("event", 1)
    assert received(raw, channel) == {"method": "emit", "mine": True}


@pytest.mark.parametrize("kind", [FanwireManager, AsyncFanwireManager])
def test_write_only_can_be_initialized_and_starts_nothing(kind, log):
    manager = kind(write_only=True, logger=log)
    manager.initialize()
    assert not manager._engines and not hasattr(manager, "thread") and not log.errors


def test_write_only_from_many_threads(raw, channel, manager):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    threads = [threading.Thread(target=manager.emit, args=("event", i)) for i in range(8)]
    for thread in threads:
        thread.start()
    assert sorted(received(raw, channel)["data"] for _ in threads) == [[i] for i in range(8)]
    for thread in threads:
        thread.join()
    assert len(manager._engines) == 1


def test_write_only_in_one_event_loop_after_the_other(raw, channel, async_manager, log):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    for i in range(3):
        asyncio.run(async_manager.emit("event", i))
        assert received(raw, channel)["data"] == [i]
    assert not log.errors


def test_a_bad_url_is_no_error_of_the_constructor(log):
    manager = FanwireManager("http://h", write_only=True, logger=log)
    with pytest.raises(ValueError, match="http"):
        manager._redis_connect()
    manager.emit("event", 1)
    assert len(log.errors) == 1 and "Cannot publish to redis... giving up" in log.errors[0]


async def test_a_bad_url_in_an_event_loop(log):
    manager = AsyncFanwireManager("http://h", write_only=True, logger=log)
    await manager.emit("event", 1)
    assert len(log.errors) == 1 and "Cannot publish to redis... giving up" in log.errors[0]


async def test_emitting_without_redis_is_logged_and_not_raised(log):
    url = f"redis://127.0.0.1:{free_port()}"
    FanwireManager(url, write_only=True, logger=log).emit("event", 1)
    await AsyncFanwireManager(url, write_only=True, logger=log).emit("event", 1)
    assert ["Cannot publish to redis..." in line and "refused" in line for line in log.errors] == [True, True]


async def test_what_has_no_json_is_logged_and_not_raised(manager, async_manager, log):
    manager.emit("event", object())
    await async_manager.emit("event", object())
    assert ["not JSON serializable" in line for line in log.errors] == [True, True]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_what_is_emitted_in_an_outage_is_sent_after_it(own_redis, channel, log, kind):
    if kind == "sync":
        manager = FanwireManager(own_redis.url, channel, write_only=True, logger=log)
        emit = manager.emit
    else:
        manager = AsyncFanwireManager(own_redis.url, channel, write_only=True, logger=log)

        async def emit(*arguments):
            await manager.emit(*arguments)

    async def call(*arguments):
        result = emit(*arguments)
        if result is not None:
            await result

    await call("event", "before")
    own_redis.kill()
    engine = manager._redis_connect()
    await until(lambda: not engine.connected)
    await call("event", "meanwhile")
    assert "Cannot publish to redis... the message waits" in log.errors[-1]
    async with fanwire.open(own_redis.url, namespace="", max_reconnect_delay_ms=100) as listener:
        stream = listener.subscribe(channel)
        own_redis.start()
        await within(stream.ready)
        await until(lambda: engine.connected)
        await call("event", "after")
        seen = []
        while "after" not in seen:
            seen.append((await within(anext(stream))).json()["data"][0])
    assert seen in (["meanwhile", "after"], ["after"])  # whoever is back first


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_burst_arrives_in_order(raw, channel, manager, async_manager, kind):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    for i in range(200):
        if kind == "sync":
            manager.emit("event", i)
        else:
            await async_manager.emit("event", i)
    assert [received(raw, channel)["data"] for _ in range(200)] == [[i] for i in range(200)]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_failures_in_a_burst_are_logged(own_redis, channel, log, kind):
    own_redis.cli("ACL", "SETUSER", "u", "on", ">p", "+@all", "resetchannels")
    options = {"write_only": True, "logger": log, "redis_options": {"username": "u", "password": "p"}}
    if kind == "sync":
        manager = FanwireManager(own_redis.url, channel, **options)
    else:
        manager = AsyncFanwireManager(own_redis.url, channel, **options)
    engine = manager._redis_connect()
    for i in range(100):
        result = manager.emit("event", i)
        if kind == "async":
            await result
    await until(lambda: engine.stats()["publish_failed"] == 100)
    manager._waited_at = 0  # as after a pause
    result = manager.emit("event", 100)
    if kind == "async":
        await result
    counted = [int(line.rpartition(" ")[2]) for line in log.errors if "may be lost" in line]
    assert sum(counted) == 100  # the first one is the base
    assert sum("giving up" in line and "NOPERM" in line for line in log.errors) >= 4


def test_a_process_of_multiprocessing_sends_all_before_it_ends(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    done = child.run(
        f"""
        import multiprocessing
        from fanwire.socketio import FanwireManager

        def work():
            manager = FanwireManager(url, {channel!r}, write_only=True)
            for i in range(20):
                manager.emit("event", i)

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            assert process.exitcode == 0
        """,
        redis.url,
    )
    assert done.stderr == ""
    assert [received(raw, channel)["data"] for _ in range(20)] == [[i] for i in range(20)]


def test_a_process_sends_all_before_it_ends(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    done = child.run(
        f"""
        from fanwire.socketio import AsyncFanwireManager
        async def main():
            manager = AsyncFanwireManager(url, {channel!r}, write_only=True)
            for i in range(20):
                await manager.emit("event", i)
        asyncio.run(main())
        """,
        redis.url,
    )
    assert done.stderr == ""
    assert [received(raw, channel)["data"] for _ in range(20)] == [[i] for i in range(20)]


def test_a_shared_engine_stays_open(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    with fanwire.Engine(redis.url, namespace="") as engine:
        with pytest.raises(fanwire.InvalidArgumentError, match="inbox_count would have no effect"):
            FanwireManager(engine, channel, inbox_count=1)
        manager = FanwireManager(engine, channel, write_only=True)
        manager.emit("event", 1)
        assert received(raw, channel)["data"] == [1]
        del manager
        gc.collect()
        assert engine.state == "connected"


def test_a_manager_that_is_dropped_disconnects(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    manager = FanwireManager(redis.url, channel, write_only=True)
    manager.emit("event", 1)
    engine = manager._redis_connect()
    del manager
    gc.collect()
    assert engine.state == "closed"


def test_a_forked_child_opens_its_own(redis, raw, channel):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    done = child.run(
        f"""
        import os
        from fanwire.socketio import FanwireManager
        manager = FanwireManager(url, {channel!r}, write_only=True)
        manager.emit("event", "parent")
        pid = os.fork()
        if pid == 0:
            manager.emit("event", "child")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        manager.emit("event", "parent again")
        """,
        redis.url,
    )
    assert done.stderr == ""
    assert [received(raw, channel)["data"] for _ in range(3)] == [["parent"], ["child"], ["parent again"]]


@pytest.mark.parametrize("green", ["gevent", "eventlet"])
def test_greenlets(redis, raw, channel, green):
    assert raw.command("SUBSCRIBE", channel)[0] == b"subscribe"
    patch = {
        "gevent": "from gevent import monkey; monkey.patch_all()\n",
        "eventlet": "import eventlet; eventlet.monkey_patch()\n",
    }
    done = child.run(
        f"""
        import socketio
        from fanwire.socketio import FanwireManager
        server = socketio.Server(async_mode={green!r}, client_manager=FanwireManager(url, {channel!r}))
        server.manager.initialize()
        got = []
        server.manager._handle_emit = got.append
        outside = FanwireManager(url, {channel!r}, write_only=True)
        deadline = time.monotonic() + 20
        while not got:
            outside.emit("event", 1)
            server.sleep(0.01)
            assert time.monotonic() < deadline
        assert got[0]["data"] == [1]
        print("done", flush=True)
        os._exit(0)
        """,
        redis.url, first=patch[green], options=("-W", "ignore"),
    )
    assert done.stdout == "done\n"


def test_greenlets_without_patched_sockets_are_refused():
    manager = FanwireManager("redis://h")
    manager.server = type("Server", (), {"async_mode": "gevent"})
    with pytest.raises(RuntimeError, match="monkey patched"):
        manager.initialize()


# ---- Listening


class Listening(AsyncFanwireManager):
    """What arrives, instead of a server that handles it."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.server = type("Server", (), {"logger": self.logger})
        self.got = []
        self.task = asyncio.create_task(self._thread())

    async def _handle_emit(self, message):
        if message["event"] == "throw":
            raise ZeroDivisionError("thrown")
        self.got.append(message["event"])

    async def ready(self, raw):
        await until(lambda: raw.command("PUBSUB", "NUMSUB", self.channel)[1] == 1)


@pytest.fixture
async def listening(redis, raw, channel, log):
    manager = Listening(redis.url, channel, logger=log)
    await manager.ready(raw)
    yield manager
    manager.task.cancel()
    await asyncio.wait([manager.task])


class Gadget:
    """What a pickle of it does to whoever loads it."""

    def __reduce__(self):
        return (print, ("loaded",))


def emission(event):
    return json.dumps({"method": "emit", "event": event, "data": [], "host_id": "other"})


@pytest.mark.parametrize(
    ("payload", "report"),
    [
        (pickle.dumps({"method": "emit", "event": "pickled", "data": [], "host_id": "other"}), "a pickled message"),
        (pickle.dumps(Gadget()), "a pickled message"),
        (b"\xff\xfe", "what is no message"),
        (b"", "what is no message"),
        (b"7", "what is no message"),
        (b'["method"]', "what is no message"),
        (b"null", "what is no message"),
        (b"{", None),
        (b"{}", None),
        (b'{"method": "unheard of"}', None),
        (b'{"method": ["emit"]}', None),
        (b'{"method": "emit"}', "Handler error"),
        (b'{"method": "emit", "event": "throw", "data": 7}', "Handler error"),
        (b'{"method": "disconnect"}', "Handler error"),
        (b"{" + b'"a":{' * 100_000, None),
    ],
)
async def test_what_is_no_message_harms_nobody(raw, channel, listening, log, capsys, payload, report):
    raw.command("PUBLISH", channel, payload)
    raw.command("PUBLISH", channel, emission("good"))
    await until(lambda: listening.got == ["good"])
    assert [report in line for line in log.errors] == ([True] if report else [])
    assert "loaded" not in capsys.readouterr().out
    assert raw.command("PUBSUB", "NUMSUB", channel)[1] == 1


async def test_a_flood_of_pickles_is_reported_now_and_then(raw, channel, listening, log):
    for _ in range(150):
        raw.command("PUBLISH", channel, b"\x80")
    raw.command("PUBLISH", channel, emission("good"))
    await until(lambda: listening.got)
    assert [line.rpartition("; ")[2] for line in log.errors] == ["1 so far", "101 so far"]


async def test_own_messages_are_ignored(channel, listening, raw):
    await listening._publish({"method": "emit", "event": "own", "data": [], "host_id": listening.host_id})
    raw.command("PUBLISH", channel, emission("other"))
    await until(lambda: listening.got)
    assert listening.got == ["other"]


async def test_losses_are_logged(own_redis, channel, log):
    manager = Listening(own_redis.url, channel, logger=log)
    await until(lambda: own_redis.cli("PUBSUB", "NUMSUB", channel).endswith("1"))
    own_redis.kill()
    own_redis.start()
    await until(lambda: any("were lost: reconnect" in line for line in log.errors))
    own_redis.cli("PUBLISH", channel, emission("again"))
    await until(lambda: manager.got == ["again"])
    assert any("Cannot receive from redis... retrying" in line for line in log.errors)
    manager.task.cancel()
    await asyncio.wait([manager.task])


async def test_listening_waits_for_a_redis_that_is_not_there_yet(own_redis, channel, log):
    own_redis.kill()
    manager = Listening(own_redis.url, channel, logger=log)
    engine = manager._redis_connect()
    await until(lambda: engine.stats()["connect_errors"] > 0)
    assert not manager.task.done()
    own_redis.start()
    await until(lambda: own_redis.cli("PUBSUB", "NUMSUB", channel).endswith("1"))
    own_redis.cli("PUBLISH", channel, emission("late"))
    await until(lambda: manager.got == ["late"])
    manager.task.cancel()
    await asyncio.wait([manager.task])


async def test_listening_to_a_bad_url_does_not_spin(log):
    manager = Listening("http://h", logger=log)
    await until(lambda: log.errors)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(log.errors) == 1 and not manager.task.done()
    manager.task.cancel()
    await asyncio.wait([manager.task])


async def test_a_shared_engine_that_is_closed_ends_listening(redis, channel, log):
    engine = fanwire.Engine(redis.url, namespace="")
    manager = Listening(engine, channel, logger=log)
    await until(lambda: engine.connected)
    await engine.aclose()
    await within(asyncio.wait([manager.task]))
    assert log.errors == ["pubsub listen() exited unexpectedly"]


def test_a_process_ends_with_a_server_in_it(redis):
    done = child.run(
        """
        import socketio
        from fanwire.socketio import FanwireManager
        server = socketio.Server(async_mode="threading", client_manager=FanwireManager(url, "ends"))
        server.manager.initialize()
        server.emit("event", 1)
        """,
        redis.url,
    )
    assert done.stdout + done.stderr == ""


def test_without_python_socketio_the_error_says_what_to_install():
    code = "import sys; sys.modules['socketio'] = None; import fanwire.socketio"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "pip install python-socketio, or fanwire[socketio]" in done.stderr


# ---- Fleets. Each member is a server with one client, which it is given to by HTTP.

MEMBER = """
import base64, logging, socketio
from aiohttp import web

package, mode, name = kind.split()
if package == "fanwire":
    from fanwire.socketio import AsyncRedisManager, RedisManager
else:
    from socketio import AsyncRedisManager, RedisManager
logging.disable()

def shown(value):
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value

async def serve_async():
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=AsyncRedisManager(url))
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return server, site._server.sockets[0].getsockname()[1]

def serve_threads():
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
    class Handler(WSGIRequestHandler):
        def log_message(self, *_):
            pass
    server = socketio.Server(async_mode="threading", client_manager=RedisManager(url))
    http = make_server("127.0.0.1", 0, socketio.WSGIApp(server), Server, Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return server, http.server_port

async def main():
    server, port = await serve_async() if mode == "async" else serve_threads()
    async def call(function, *arguments, **keywords):
        if mode == "async":
            result = function(*arguments, **keywords)
            return await result if asyncio.iscoroutine(result) else result
        return await asyncio.to_thread(function, *arguments, **keywords)

    client = socketio.AsyncClient(reconnection=False)
    @client.on("said")
    def said(*arguments):
        say(["said", *map(shown, arguments)])
    @client.on("ask")
    def ask(data, text):
        return name, len(data), text  # acks between servers cannot have bytes in them
    @client.on("disconnect")
    def disconnect(*_):
        say("gone")
    await client.connect(f"http://127.0.0.1:{port}", transports=["polling"])
    sid = client.get_sid()
    await call(server.enter_room, sid, "of " + name)
    await call(server.enter_room, sid, "all")
    say(["ready", sid])
    async for method, *arguments in commands():
        if method == "emit":
            text, room = arguments
            await call(server.emit, "said", (text, b"\\x00\\x80" + text.encode()), room=room)
        elif method == "ask":
            def answered(*answer):
                say(["answer", *map(shown, answer)])
            await call(server.emit, "ask", (b"\\xff", "text"), room=arguments[0], callback=answered)
        else:
            await call(getattr(server, method), *arguments)
    import os
    os._exit(0)
asyncio.run(main())
"""


def said(text):
    import base64

    return ["said", text, {"bytes": base64.b64encode(b"\x00\x80" + text.encode()).decode()}]


KINDS = ["fanwire async a", "socketio async b", "fanwire threads c", "socketio threads d"]


def test_a_fleet_with_the_originals(own_redis):
    members = [Member(MEMBER, own_redis.url, kind) for kind in KINDS]
    try:
        sids = []
        for member in members:
            member.wait(lambda said: said)
            sids.append(member.said[0][1])
        # A member that is ready may not be subscribed yet.
        assert_subscribed(own_redis, len(members))
        for i, speaker in enumerate(members):
            other = members[(i + 1) % len(members)]
            name = other.kind.split()[-1]
            speaker.tell(["emit", f"ünï \0 {i}", "all"])
            for member in members:
                member.saw(said(f"ünï \0 {i}"))
            speaker.tell(["emit", f"one {i}", f"of {name}"])
            other.saw(said(f"one {i}"))
            speaker.tell(["ask", f"of {name}"])
            speaker.wait(lambda all_said, name=name: any(item == ["answer", name, 1, "text"] for item in all_said))
            speaker.tell(["enter_room", sids[(i + 1) % len(members)], f"vip {i}"])
            speaker.tell(["emit", f"vip {i}", f"vip {i}"])
            other.saw(said(f"vip {i}"))
            speaker.tell(["leave_room", sids[(i + 1) % len(members)], f"vip {i}"])
            speaker.tell(["emit", f"not heard {i}", f"vip {i}"])
            speaker.tell(["close_room", f"of {name}"])
            speaker.tell(["emit", f"not heard either {i}", f"of {name}"])
            speaker.tell(["emit", f"end {i}", "all"])
            for member in members:
                member.saw(said(f"end {i}"))
        for member in members:
            texts = [item[1] for item in member.said if item[0] == "said"]
            assert len(texts) == len(set(texts)) and not any(text.startswith("not heard") for text in texts)

        own_redis.kill()
        own_redis.start()
        for i, speaker in enumerate(members):
            heard_again(members, lambda text, speaker=speaker: speaker.tell(["emit", text, "all"]), f"back by {i}")
        for i, speaker in enumerate(members):
            speaker.tell(["emit", f"all back {i}", "all"])
            for member in members:
                member.saw(said(f"all back {i}"))

        outside = FanwireManager(own_redis.url, write_only=True)
        outside.emit("said", ("from outside", b"\x00\x80from outside"), room="all")
        for member in members:
            member.saw(said("from outside"))

        for i, speaker in enumerate(members):
            speaker.tell(["disconnect", sids[(i + 1) % len(members)]])
            members[(i + 1) % len(members)].saw("gone")
        for member in members:
            assert member.finish() == 0, member.errors
    finally:
        for member in members:
            member.__exit__()


def assert_subscribed(server, count):
    until_blocking(lambda: server.cli("PUBSUB", "NUMSUB", "socketio").split()[-1] == str(count))
