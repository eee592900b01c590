"""A Sentinel group under full load: nothing is lost in silence, nothing comes twice, and delivery is back soon."""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

import fanwire

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from groups.group import Wishes  # noqa: E402
from groups.sentinel import SentinelGroup  # noqa: E402

DEADLINE_S = 60
WINDOW = 100  # publishes without an outcome


@pytest.fixture
def group():
    with SentinelGroup(Wishes()) as made:
        yield made


class Switches:
    """When the sentinels said +switch-master, by the clock of time.monotonic()."""

    def __init__(self, group):
        self.times = []
        self._sockets = []
        for name in ("sentinel0", "sentinel1", "sentinel2"):
            link = socket.create_connection(("127.0.0.1", group.nodes[name].port))
            link.sendall(b"SUBSCRIBE +switch-master\r\n")
            assert link.recv(4096)
            self._sockets.append(link)
            threading.Thread(target=self._listen, args=(link,), daemon=True).start()

    def _listen(self, link):
        with contextlib.suppress(OSError):
            while link.recv(4096):
                self.times.append(time.monotonic())

    def close(self):
        for link in self._sockets:
            link.close()


class Reconciler:
    """Publishes numbers as fast as they are answered, and compares what arrives with what was answered."""

    def __init__(self, url):
        self.url = url
        self.ok = {}  # number -> receivers
        self.seen = []  # numbers, and the words of events
        self.times = {}  # number -> when it arrived
        self.published = 0
        self._stop = False

    async def _publish(self):
        gate = asyncio.Semaphore(WINDOW)

        async def one(number):
            try:
                self.ok[number] = await self.publisher.publish("numbers", str(number))
            except fanwire.FanwireError:
                pass
            finally:
                gate.release()

        tasks = set()
        while not self._stop:
            await gate.acquire()
            task = asyncio.create_task(one(self.published))
            self.published += 1
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _receive(self, stream):
        async for item in stream.events():
            if isinstance(item, fanwire.Message):
                number = int(item.data)
                self.seen.append(number)
                self.times[number] = time.monotonic()
            else:
                self.seen.append(item.kind if item.kind != "gap" else f"gap {item.reason}")

    async def __aenter__(self):
        self.publisher = await fanwire.connect(self.url)
        self.subscriber = await fanwire.connect(self.url)
        stream = self.subscriber.subscribe("numbers")
        await stream.ready
        self._tasks = [asyncio.create_task(self._receive(stream)), asyncio.create_task(self._publish())]
        return self

    async def until_delivered_again(self):
        """Until something arrives that is published from now on."""
        async with asyncio.timeout(DEADLINE_S):
            first = self.published
            while not self.times or max(self.times) < first + WINDOW:
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_):
        self._stop = True
        async with asyncio.timeout(DEADLINE_S):
            await self._tasks[1]
            last = max(self.ok)
            while last not in self.times:
                await asyncio.sleep(0.01)
        self._tasks[0].cancel()
        await self.publisher.close()
        await self.subscriber.close()

    def judge(self):
        """What was answered by OK is delivered once, in order, or a GAP stands in its place."""
        numbers = [item for item in self.seen if isinstance(item, int)]
        assert numbers == sorted(set(numbers)), "out of order, or twice"
        covered = set()  # numbers in front of which a GAP stands
        last, gap = -1, False
        for item in self.seen:
            if isinstance(item, int):
                if gap:
                    covered.update(range(last + 1, item))
                last, gap = item, False
            elif item.startswith("gap"):
                gap = True
        silent = [number for number in self.ok if number not in self.times and number not in covered]
        assert not silent, f"{len(silent)} lost in silence, the first is {silent[0]}"
        return len(numbers), len(self.ok)


@pytest.mark.parametrize("fault", ["killed", "paused", "failover"])
async def test_no_loss_is_silent(group, fault, capsys):
    switches = Switches(group)
    async with Reconciler(group.url()) as load:
        await load.until_delivered_again()
        before = group.master()
        if fault == "killed":
            group.kill(before)
        elif fault == "paused":
            group.pause(before)
        else:
            await asyncio.to_thread(group.failover)
        await asyncio.to_thread(group.wait_master, before)
        await load.until_delivered_again()
        if fault == "killed":
            group.restart(before)
        elif fault == "paused":
            group.resume(before)
        await load.until_delivered_again()
    switches.close()
    received, answered = load.judge()
    assert "gap failover" in load.seen
    at = sorted(load.times.values())
    silence, back = max((after - before, after) for before, after in zip(at, at[1:]))
    with capsys.disabled():
        print(f" [{fault}: {received} of {answered} answered publishes received; silent for {silence:.2f} s, "
              f"delivered again {1000 * (back - min(switches.times)):+.0f} ms after the first +switch-master] ", end="")
    group_after = group.master()
    assert group.call(group_after, "PUBSUB", "NUMSUB", "ws:numbers")[1] == 0, "closed"


async def test_an_unknown_group(group):
    url = group.url().replace("mymaster", "other")
    with pytest.raises(fanwire.NoMasterError, match='no master named "other"'):
        await fanwire.connect(url, connect_timeout_ms=500, max_reconnect_attempts=1)
