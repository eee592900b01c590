"""What the benchmark drivers in Python share: the command line, the check of each message, and the line of figures."""

from __future__ import annotations

import argparse
import itertools
import json
import operator
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

CHANNEL = "bench:%d"  # ours; on the wire the namespace stands before it
WIRE_CHANNEL = "ws:bench:%d"
PUBLISH_CHANNEL = "bench:publish"
WIRE_PUBLISH_CHANNEL = "ws:bench:publish"

DIGITS = 16  # of the number that each message begins with


def parse(description: str, *, sync_option: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("mode", choices=("receive", "publish"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca", help="the certificate authority's file, for TLS")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--outcomes", action="store_true")
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--broken-once", action="store_true", help="the link breaks before the first message")
    if sync_option:
        parser.add_argument("--sync", action="store_true", help="the blocking interface")
    args = parser.parse_args()
    if args.size < DIGITS or args.count < 2 or args.channels < 1 or args.in_flight < 1 or args.threads < 1:
        parser.error(f"numbers must be positive, the count at least 2 and the size {DIGITS}")
    return args


class Stopwatch:
    """CPU time of the whole process from ready() or start() on, and wall time from begin() on."""

    def ready(self) -> None:
        print("ready", flush=True)
        self.start()

    def start(self) -> None:
        self._cpu = _cpu_seconds()
        self.begin()

    def begin(self) -> None:
        self._wall = time.perf_counter()

    def end(self) -> None:
        self._cpu = _cpu_seconds() - self._cpu
        self._wall = time.perf_counter() - self._wall

    def report(self, messages: int, wrong: int) -> None:
        figures = {"messages": messages, "seconds": self._wall, "cpu_seconds": self._cpu, "wrong": wrong}
        print(json.dumps(figures), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Check:
    """That each message has the right size, and that the numbers of each channel go up by the count of channels.

    Message i goes to channel i mod C and begins with i as DIGITS digits, so those of one publisher come as 0, 1, 2 ...
    What each should begin with is made before the measuring starts: a handler then only compares.

        if data[:DIGITS] != expected() or len(data) != size:
            look_closer(data)

    expected() also starts the watch with the first message, and with the last one stops it and calls when_done().
    """

    def __init__(self, args: argparse.Namespace, when_done: Callable[[], object] = lambda: None) -> None:
        self.wrong = 0
        self.done = False
        self.watch = Stopwatch()
        self._size: int = args.size
        self._channels: int = args.channels
        self._when_done = when_done
        self._last: dict[int, int] | None = None  # the last number of each channel, since look_closer() was needed
        self._numbers = [b"%0*d" % (DIGITS, i) for i in range(args.count)]
        self._rest = iter(self._numbers)
        middle = itertools.islice(self._rest, args.count - 2)
        self.expected = itertools.chain(self._first(), middle, self._final()).__next__

    def report(self) -> None:
        self.watch.report(len(self._numbers), self.wrong)

    def _first(self) -> Iterator[bytes]:
        self.watch.begin()
        yield next(self._rest)

    def _final(self) -> Iterator[bytes]:
        for number in self._rest:
            self.watch.end()
            self.done = True
            self._when_done()
            yield number

    def look_closer(self, data: bytes) -> None:
        """A message of the wrong size, or not the next one of all channels: then from now on each channel is checked."""
        if self._last is None:
            before = len(self._numbers) - operator.length_hint(self._rest) - 1
            self._last = {i % self._channels: i for i in range(max(0, before - self._channels), before)}
            self._numbers[:] = [b""] * len(self._numbers)  # all that follow come here
        try:
            number = int(data[:DIGITS])
        except ValueError:
            self.wrong += 1
            return
        channel = number % self._channels
        if len(data) != self._size or number != self._last.get(channel, number - self._channels) + self._channels:
            self.wrong += 1
        self._last[channel] = number


def payload_of(size: int) -> bytes:
    return b"%0*d" % (DIGITS, 0) + b"x" * (size - DIGITS)


def rounds(count: int, at_once: int) -> Iterator[int]:
    """How many at a time, until there were `count`."""
    for done in range(0, count, at_once):
        yield min(at_once, count - done)


def refuse_threads(args: argparse.Namespace) -> None:
    if args.threads != 1:
        raise SystemExit("an event loop has one thread")


def publish_in_threads(args: argparse.Namespace, publish: Callable[[int], int]) -> None:
    """publish(count) gives how many receivers there were, which should be none."""
    watch = Stopwatch()
    with ThreadPoolExecutor(args.threads) as threads:
        share, rest = divmod(args.count, args.threads)
        shares = [share + (i < rest) for i in range(args.threads)]
        watch.ready()
        wrong = sum(threads.map(publish, shares)) if args.threads > 1 else publish(args.count)
        watch.end()
    watch.report(args.count, wrong)
