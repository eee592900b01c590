"""Channel layers in several processes: ours, channels_redis's, and both in one fleet."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import DEADLINE_S, until_blocking
from fleet import Member, heard_again
from redis_server import free_port
from websockets.sync.client import connect

PROGRAM = pathlib.Path(__file__).with_name("channels_member.py").read_text(encoding="utf-8")


@pytest.fixture
def fleet(own_redis):
    members = []

    def start(mode, *backends):
        members.extend(Member(PROGRAM, own_redis.url, f"{backend} {mode}") for backend in backends)
        for member in members:
            member.wait(lambda said: said)
        return members

    yield start
    for member in members:
        status = member.finish()
        if member.kind.startswith("fanwire"):
            assert status == 0 and "Traceback" not in member.errors, member.errors


def said_of(member, what, start=0):
    return [line[1] for line in member.said[start:] if line[0] == what]


def send(member, text, **command):
    """Through the layer, which may refuse while Redis is away; whether it did not."""
    start = len(member.said)
    member.tell({"text": text, **command})
    member.wait(lambda said: any(line[0] in ("done", "failed") for line in said[start:]))
    return said_of(member, "done", start) == [text]


def exchange(members, name):
    """Each sends to the group and to each other's channel; all of it arrives, once and in order."""
    starts = [len(member.said) for member in members]
    for index, member in enumerate(members):
        assert send(member, f"{name} to all from {index}")
        for other_index, other in enumerate(members):
            (channel,) = said_of(other, "channel")
            assert send(member, f"{name} to {other_index} from {index}", to=channel)
    for index, (member, start) in enumerate(zip(members, starts)):
        member.wait(lambda said: len(said_of(member, "got", start)) == 2 * len(members))
        for sender in range(len(members)):
            of_sender = [text for text in said_of(member, "got", start) if text.endswith(f"from {sender}")]
            assert sorted(of_sender) == sorted([f"{name} to all from {sender}", f"{name} to {index} from {sender}"])


def hear_each_other_again(members):
    """After a break, which the originals need some seconds to notice."""
    for index, member in enumerate(members):
        heard_again(members, lambda text: send(member, text), f"hello from {index}")
    starts = [len(member.said) for member in members]
    for member in members:
        assert send(member, "fence")
    for member, start in zip(members, starts):
        member.wait(lambda said: said_of(member, "got", start).count("fence") == len(members))


@pytest.mark.timeout(180)
def test_a_mixed_fleet_whose_redis_is_killed(own_redis, fleet):
    members = fleet("layer", "fanwire", "channels_redis", "fanwire", "channels_redis")
    exchange(members, "before")
    own_redis.kill()
    own_redis.start()
    hear_each_other_again(members)
    exchange(members, "after")


def test_what_is_sent_while_redis_is_away_is_sent_when_it_is_back(own_redis, fleet):
    sender, receiver = fleet("layer", "fanwire", "fanwire")
    own_redis.kill()
    sender.tell({"text": "waits"})
    own_redis.start()
    sender.wait(lambda said: ["done", "waits"] in said)
    hear_each_other_again([sender, receiver])


@pytest.mark.timeout(180)
def test_consumers_in_a_mixed_fleet_whose_redis_is_killed(own_redis, fleet):
    members = fleet("consumers", "fanwire", "fanwire", "channels_redis")

    def chat(name, speakers):
        starts = [len(member.said) for member in members]
        expected = []
        for index, speaker in enumerate(speakers):
            for client in (0, 1):
                text = f"{name} {index} {client}"
                expected += [text, text]  # two WebSockets hear it
                speaker.tell({"client": client, "text": text})
                for member, start in zip(members, starts):
                    member.wait(lambda said: said_of(member, "got", start) == expected)

    chat("before", members)
    own_redis.kill()
    own_redis.start()
    until_blocking(lambda: own_redis.cli("pubsub", "numsub", "asgi__group__room").split()[-1] == "3")
    chat("after", members[:2])  # a consumer over the original may end with its first publish on the old connection


LAYERS = {
    "fanwire": "fanwire.channels.FanwireChannelLayer",
    "channels_redis": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


@contextlib.contextmanager
def daphne(backend, url):
    """A server in a process of its own; gives its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "channels_server:application"],
        cwd=pathlib.Path(__file__).parent,
        env={**os.environ, "LAYER": LAYERS[backend], "REDIS_OF_LAYER": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def browser(port):
    """A WebSocket, once the server listens."""
    opened = []

    def is_open():
        with contextlib.suppress(ConnectionRefusedError):
            opened.append(connect(f"ws://127.0.0.1:{port}/", open_timeout=DEADLINE_S))
        return opened

    until_blocking(is_open)
    return opened[0]


@pytest.mark.timeout(180)
def test_browsers_at_servers_of_a_mixed_fleet_whose_redis_is_killed(own_redis):
    with contextlib.ExitStack() as stack:
        backends = ("fanwire", "fanwire", "channels_redis")
        ports = [stack.enter_context(daphne(backend, own_redis.url)) for backend in backends]
        browsers = [stack.enter_context(browser(port)) for port in ports for _ in range(2)]

        def chat(name, speakers):
            for number, speaker in enumerate(speakers):
                speaker.send(f"{name} {number}")
                for listener in browsers:
                    assert listener.recv(timeout=DEADLINE_S) == f"{name} {number}"

        chat("before", browsers)
        own_redis.kill()
        own_redis.start()
        until_blocking(lambda: own_redis.cli("pubsub", "numsub", "asgi__group__room").split()[-1] == "3")
        chat("after", browsers[:4])
        for one in browsers[:4]:
            one.close()
        until_blocking(lambda: own_redis.cli("pubsub", "numsub", "asgi__group__room").split()[-1] == "1")
