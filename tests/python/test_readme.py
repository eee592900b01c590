"""The programs in the READMEs do what they say, as they stand there; only the address is the test's server."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import fanwire
import pytest
import redis as redis_py
import redis.asyncio
from conftest import DEADLINE_S

ROOT = Path(__file__).parent.parent.parent
BLOCKS = [
    pytest.param(block, id=f"{page} {number}")
    for page in ("README.md", "bindings/python/README.md")
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S))
]


class Enough(BaseException):
    """An endless loop has printed something."""


async def use(block, url):
    """Runs it in an event loop that has a `bus`, as the blocks that are not whole programs want."""
    endless = "async for item" in block
    printed = []

    def note(*values):
        printed.append(values)
        if endless:
            raise Enough

    async with fanwire.connect(url) as bus, fanwire.connect(url) as other:
        names = {"fanwire": fanwire, "asyncio": asyncio, "redis": redis_py, "bus": bus, "print": note}
        answering = other.subscribe("status", lambda message: message.reply({"load": 0.1}))
        await answering.ready

        async def chat():
            while True:
                await other.publish("chat", '{"n": 1}')
                await asyncio.sleep(0.01)

        chatting = asyncio.create_task(chat())
        try:
            coroutine = eval(compile(block, "README", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.isawaitable(coroutine):
                await coroutine
        except Enough:
            pass
        finally:
            chatting.cancel()
            await asyncio.wait([chatting])
    return printed


@pytest.mark.parametrize("block", BLOCKS)
def test_the_programs(redis, monkeypatch, capsys, block):
    monkeypatch.setenv("REDIS_URL", redis.url)
    block = block.replace("redis://127.0.0.1", redis.url)
    block = re.sub(r'host="10\.0\.0\.7"(, password="\.\.\.")?, ssl=True', f'host="127.0.0.1", port={redis.port}', block)
    if "asyncio.run(" in block or "with fanwire.Client(" in block and "await" not in block:
        exec(compile(block, "README", "exec"), {"fanwire": fanwire, "asyncio": asyncio})
        assert capsys.readouterr().out
        return
    printed = asyncio.run(asyncio.wait_for(use(block, redis.url), DEADLINE_S))
    assert bool(printed) == ("print(" in block)
