"""Channel layers in processes that fork, end, or lack a package."""

import pytest
from child import run

FIRST = """
import asyncio, os, sys, threading
from asgiref.sync import async_to_sync
from fanwire.channels import FanwireChannelLayer

layer = FanwireChannelLayer(hosts=[url])
"""


def run_with_layer(code, redis, **options):
    return run(FIRST + code, redis.url, options=("-W", "error"), **options)


def test_a_process_ends_with_a_layer_in_use(redis):
    code = """
async def main():
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", {"type": "x"})
    print(await layer.receive(channel))
    receiving = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)

async_to_sync(layer.send)("x", {"type": "x"})
asyncio.run(main())
loop = asyncio.new_event_loop()
loop.run_until_complete(layer.new_channel())
loop.close()
"""
    done = run_with_layer(code, redis)
    assert (done.stdout, done.stderr) == ("{'type': 'x'}\n", "")


def test_what_was_sent_last_is_sent(redis, raw):
    raw.command("SUBSCRIBE", "asgi__group__last")
    run_with_layer('async_to_sync(layer.group_send)("last", 1)', redis)
    assert raw.reply()[2] == b"\x01"


def test_a_forked_child_has_connections_of_its_own(redis):
    code = """
async def talk(name):
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.send(channel, {"from": name})
    print(await layer.receive(channel), flush=True)

loop = asyncio.new_event_loop()
loop.run_until_complete(talk("parent"))
async_to_sync(layer.send)("x", 1)
child = os.fork()
if child == 0:
    assert not layer._layers
    async_to_sync(layer.send)("x", 1)
    asyncio.run(talk("child"))
    del loop
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(talk("parent again"))
loop.close()
"""
    done = run_with_layer(code, redis)
    assert done.stdout.split("\n")[:3] == ["{'from': 'parent'}", "{'from': 'child'}", "{'from': 'parent again'}"]


def test_a_layer_made_before_the_fork_works_in_all_workers(redis):
    code = """
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        channel = "asgi-worker"
        async_to_sync(layer.group_send)("g", {"type": "x"})
        os._exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""
    run_with_layer(code, redis)


@pytest.mark.parametrize(
    "missing, code, text",
    [
        ("channels", "import fanwire.channels", 'pip install "fanwire[channels]"'),
        (
            "msgpack",
            "from fanwire.channels import *; FanwireChannelLayer(serializer_format='json'); FanwireChannelLayer()",
            'serializer_format="msgpack" needs the package msgpack: pip install "fanwire[channels]"',
        ),
        (
            "cryptography.fernet",
            "from fanwire.channels import *; FanwireChannelLayer(symmetric_encryption_keys=['k'])",
            "symmetric_encryption_keys needs the package cryptography: pip install cryptography",
        ),
    ],
)
def test_a_missing_package_is_named(redis, missing, code, text):
    done = run(f"sys.modules[{missing!r}] = None\n{code}", redis.url, status=1)
    assert "ImportError: " in done.stderr and text in done.stderr.splitlines()[-1]
