"""The examples: a chat with rooms, each over two processes, while Redis is killed and started again."""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

import pytest
from conftest import DEADLINE_S, until, within
from redis_server import free_port
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

FOLDER = pathlib.Path(__file__).parent.parent.parent / "bindings/python/examples"


def command(example, port):
    """What its docstring says."""
    text = (FOLDER / example).read_text()
    [line] = [line for line in text.splitlines() if "8001 " in line and not line.startswith("Clients")]
    words = line.strip().removesuffix("&").replace("8001", str(port)).split()
    return [sys.executable, *(words[1:] if words[0] == "python" else ["-m", *words])]


class Server:
    def __init__(self, example, redis):
        self.port = free_port()
        self.process = subprocess.Popen(
            command(example, self.port),
            cwd=FOLDER,
            env={**os.environ, "REDIS_URL": redis.url, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_S) as answer:
            return answer.read().decode()

    async def ready(self):
        def answers():
            assert self.process.poll() is None, self.process.communicate()
            with contextlib.suppress(OSError):
                return "fanwire_" in self.get("/metrics")

        await until(answers)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=DEADLINE_S)[0]
        return self.process.returncode, output


class Client:
    def __init__(self, socket):
        self.socket = socket
        self.got = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self):
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                self.got.append(json.loads(text))

    async def say(self, text):
        await self.socket.send(text)

    async def hears(self, item):
        await until(lambda: item in self.got)


@pytest.mark.parametrize("example", sorted(path.name for path in FOLDER.glob("chat_*.py")))
async def test_a_chat(example, own_redis):
    servers = [Server(example, own_redis) for _ in range(2)]
    try:
        for server in servers:
            await server.ready()
        async with contextlib.AsyncExitStack() as stack:

            async def join(server, room):
                address = f"ws://127.0.0.1:{server.port}/rooms/{room}"
                client = Client(await stack.enter_async_context(connect(address)))
                await client.hears({"event": "active"})
                return client

            here, there, elsewhere = [
                await join(server, room) for server, room in zip([*servers, servers[1]], ["red", "red", "blue"])
            ]
            for client in here, there, elsewhere:
                await client.say(f"hello ü {id(client)}")
            for client in here, there:
                for speaker in here, there:
                    await client.hears({"text": f"hello ü {id(speaker)}"})
            await elsewhere.hears({"text": f"hello ü {id(elsewhere)}"})
            assert sum("text" in item for item in elsewhere.got) == 1
            if "fastapi" in example:
                assert json.loads(await asyncio.to_thread(servers[0].get, "/rooms/red")) == {"processes": 2}

            own_redis.cli("PUBLISH", "chat:red", "from outside")
            await here.hears({"text": "from outside"})

            own_redis.kill()
            for client in here, there:
                await client.hears({"event": "lost"})
            await here.say("while Redis is away")
            own_redis.start()
            for client in here, there:
                await client.hears({"event": "resumed"})
                assert {"event": "gap"} in client.got
            await here.hears({"text": "while Redis is away"})
            await here.say("again")
            for client in here, there:
                await client.hears({"text": "again"})

            with pytest.raises(Exception, match="403|404"):  # no room has such a name
                await connect(f"ws://127.0.0.1:{servers[0].port}/rooms/{'x' * 101}")
            await here.say("x" * 5000)  # more than the server takes
            await within(asyncio.wait([here.reading]))
            await there.say("still there")
            await there.hears({"text": "still there"})
    finally:
        ends = [server.stop() for server in servers]
    for status, output in ends:
        assert status in (0, -signal.SIGTERM) and "Traceback" not in output, output
        if "fastapi" in example:
            lines = [line for line in output.splitlines() if line.startswith("{")]
            assert any("disconnected" in json.loads(line)["text"] for line in lines), output


def test_all_examples_are_run():
    assert all(path.name.startswith("chat_") for path in FOLDER.glob("*.py"))
