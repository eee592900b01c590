"""What is measured: the groups of runs that are taken in turns, and the rows of the table that come from them.

A group is one workload for several drivers, run A B C A B C ...; a row takes one figure from a group. Every line of the
table of targets (README.md says where they are from) is a row here, also in the quick run, which only counts less.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from workloads import Face, Figures, Latency, Publish, Receive, Tool, Workload


@dataclasses.dataclass(frozen=True)
class Group:
    name: str
    runs: dict[str, Workload]  # driver -> what it does: slower ones do less of the same
    repeat: int


@dataclasses.dataclass(frozen=True)
class Target:
    """ours / (another driver's figure, or a number) must be at most, or at least, `limit`."""

    against: str | float  # a driver's key, or a number in the row's unit
    limit: float = 1.0
    at_least: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    unit: str
    group: str
    ours: str  # drivers
    peers: tuple[str, ...]
    floor: str | None
    figure: Callable[[Figures], float]
    targets: tuple[Target, ...] = ()
    more_is_better: bool = False
    per: str | None = None  # of growth: the group whose figure is the unit


# ---- Figures -----------------------------------------------------------------------------------------------------


def cpu_ns(figures: Figures) -> float:
    return figures["cpu_seconds"] / figures["messages"] * 1e9


def rate(figures: Figures) -> float:
    return figures["messages"] / figures["seconds"]


def value(key: str, factor: float = 1.0) -> Callable[[Figures], float]:
    return lambda figures: figures[key] * factor


def per_message(key: str, factor: float = 1.0) -> Callable[[Figures], float]:
    return lambda figures: figures[key] / figures["messages"] * factor


# ---- Languages ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Side:
    """Ours in one language and its peers. `weight`: how much of a count it gets, being slower than C."""

    name: str
    ours: str
    peers: tuple[str, ...]
    receive: tuple[Target, ...]  # the targets at 128 bytes over TCP
    weight: float


FLOOR, BARE, REPLAY = "c-raw", "c-publish", "c-replay"
C = Side("C", "c-ours", ("c-hiredis", "rueidis"), (Target(FLOOR, 1.5), Target("c-hiredis")), 1.0)
NODE = Side("Node", "node-ours", ("bun-native", "node-redis", "ioredis", "node-glide"),
            (Target("bun-native"), Target("node-redis", 0.5)), 0.6)  # fmt: skip
BUN = Side("Bun", "bun-ours", ("bun-native",), (), 0.6)
ASYNCIO = Side("Python asyncio", "python-ours", ("redis-py", "redis-py-asyncio", "python-glide"),
               (Target("redis-py", 0.25),), 0.25)  # fmt: skip
PYTHON = Side("Python blocking", "python-ours-sync", ("redis-py",), (), 0.25)
SIDES = (C, NODE, BUN, ASYNCIO, PYTHON)

# Debian's hiredis has no TLS, valkey-glide no unix sockets.
CANNOT = {("c-hiredis", "tls"), ("node-glide", "unix"), ("python-glide", "unix")}

SIZES = {16: "16 B", 128: "128 B", 4096: "4 KB", 262144: "256 KB"}


def bytes_bound(count: int, size: int) -> int:
    """No more than what Redis may have to hold for a receiver that has fallen behind."""
    return max(100, min(count, 256 * 1024 * 1024 // (size + 64)))


def some(count: int) -> str:
    return f"{count:,}"


class Plan:
    """All groups and rows of one kind of run."""

    def __init__(self, quick: bool, scale: float = 1.0) -> None:
        self.quick = quick
        self._scale = scale
        self.groups: dict[str, Group] = {}
        self.rows: list[Row] = []
        self._receive()
        self._publish()
        self._latency()
        self._fanout()
        self._channels()
        self._engines()
        self._growth()
        self._channel_layers()
        self._python_faces()
        self._ws_kit()
        self._orijs()
        self._socketio()

    def _group(self, name: str, runs: dict[str, Workload], repeat: int) -> None:
        if self._scale != 1.0:
            runs, repeat = {driver: self._scaled(work) for driver, work in runs.items()}, 1
        self.groups[name] = Group(name, runs, repeat)

    def _scaled(self, work: Workload) -> Workload:
        channels = getattr(work, "channels", 1)
        if isinstance(work, Tool):
            channels = max(1, int(channels * self._scale))
            return dataclasses.replace(work, count=max(1, int(work.count * self._scale)), channels=channels)
        return dataclasses.replace(work, count=max(100, channels, int(work.count * self._scale)))

    def _row(self, name: str, unit: str, group: str, ours: str, figure: Callable[[Figures], float],
             targets: tuple[Target, ...] = (), peers: tuple[str, ...] = (), floor: str | None = None,
             more_is_better: bool = False, per: str | None = None) -> None:  # fmt: skip
        self.rows.append(Row(name, unit, group, ours, peers, floor, figure, targets, more_is_better, per))

    # ---- receive ----

    def _receive(self) -> None:
        count = 400_000 if self.quick else 800_000
        shapes = [(128, 1, "tcp", SIDES)]
        if self.quick:
            shapes += [(128, 1000, "tcp", (C,)), (128, 1, "unix", (C,)), (128, 1, "tls", (C,))]
        else:
            shapes += [(size, 1, "tcp", SIDES) for size in SIZES if size != 128]
            shapes += [(128, 1, transport, SIDES) for transport in ("unix", "tls")]
            shapes += [(size, 1, transport, (C,)) for transport in ("unix", "tls") for size in SIZES if size != 128]
            shapes += [(128, 1000, "tcp", SIDES), (128, 100_000, "tcp", (C, NODE, ASYNCIO))]
        for size, channels, transport, sides in shapes:
            self._receive_group(size, channels, transport, sides, count)

    def _receive_group(self, size: int, channels: int, transport: str, sides: tuple[Side, ...], count: int) -> None:
        name = f"receive {SIZES[size]}, {transport}" + (f", {some(channels)} channels" if channels > 1 else "")
        standard = size == 128 and channels == 1 and transport == "tcp"
        runs: dict[str, Workload] = {FLOOR: Receive(size, bytes_bound(count, size), channels, transport)}
        for side in sides:
            for driver in (side.ours, *side.peers):
                if (driver, transport) in CANNOT:
                    continue
                share = bytes_bound(int(count * side.weight), size)
                runs.setdefault(driver, Receive(size, max(share, channels), channels, transport))
        self._group(name, runs, 5 if standard else 3)
        for side in sides:
            peers = tuple(peer for peer in side.peers if peer in runs)
            self._row(f"{side.name} {name}: CPU per message", "ns", name, side.ours, cpu_ns,
                      side.receive if standard else (), peers, FLOOR)  # fmt: skip
            if not self.quick:
                self._row(f"{side.name} {name}: rate", "messages/s", name, side.ours, rate, (), peers, FLOOR, True)

    # ---- publish ----

    def _publish(self) -> None:
        count = 1_000_000 if self.quick else 2_000_000
        repeat = 5
        self._group("publish", {
            "c-ours": Publish(128, count),
            "redis-benchmark": Publish(128, count),
            "c-hiredis": Publish(128, count, in_flight=4000),
            BARE: Publish(128, count),
        }, repeat)  # fmt: skip
        self._row("C publish, 1 thread, no outcomes", "messages/s", "publish", "c-ours", rate,
                  (Target("redis-benchmark", 0.9, True),), (BARE, "c-hiredis"), "redis-benchmark", True)  # fmt: skip
        self._row("C publish, 1 thread, no outcomes: CPU per publish", "ns", "publish", "c-ours", cpu_ns, (),
                  ("c-hiredis", "redis-benchmark"), BARE)  # fmt: skip
        few = 3 if self.quick else 5
        more = {
            "publish 4 threads": ("C publish, 4 threads, no outcomes", Publish(128, count, threads=4)),
            "publish outcomes": ("C publish, 1 thread, 1,000 outcomes at once",
                                 Publish(128, count // 2, True, 1000)),
            "publish outcomes 4 threads": ("C publish, 4 threads, 1,000 outcomes at once each",
                                           Publish(128, count // 2, True, 1000, 4)),
        }  # fmt: skip
        for group, (name, workload) in more.items():
            bare = dataclasses.replace(workload, in_flight=workload.in_flight * workload.threads, threads=1)
            self._group(group, {"c-ours": workload, "redis-benchmark": Publish(128, count), BARE: bare}, few)
            self._row(name, "messages/s", group, "c-ours", rate, (), (BARE,), "redis-benchmark", True)

        self._group("paced", {"c-ours": Tool("paced", count // 20)}, few)
        for title, key in (("", "io_cpu_seconds"), (", max_flush_delay_us=500", "moderated_io_cpu_seconds")):
            self._row(f"C publish, one by one at 50,000/s{title}: IO thread's CPU per publish", "ns", "paced", "c-ours",
                      per_message(key, 1e9))  # fmt: skip

        awaited, unawaited = Publish(128, count // 4, True, 1000), Publish(128, count // 2)
        for group, title, work, slow, target in (
            ("node publish outcomes", "a Promise each", awaited, Publish(128, count // 10, True, 1000),
             Target("bun-native", 1.0, True)),
            # Of the rate nobody can have more: both stand at what Redis executes of one connection. So it is one of CPU.
            ("node publish", "no Promise", unawaited, Publish(128, count // 10), Target("bun-native", 0.7)),
        ):
            self._group(group, {
                "node-ours": work, "bun-native": work, "node-redis": slow, "ioredis": slow, "ioredis-auto": slow,
                "node-glide": slow, "bun-ours": work, BARE: work,
            }, few)  # fmt: skip
            for side, targets in ((NODE, (target,)), (BUN, ())):
                peers = (*side.peers, "ioredis-auto") if side is NODE else side.peers
                name = f"{side.name} publish, {title}"
                self._row(name, "messages/s", group, side.ours, rate, targets if work.outcomes else (), peers, BARE, True)
                if not work.outcomes:
                    self._row(f"{name}: CPU per publish", "ns", group, side.ours, cpu_ns, targets, peers, BARE)

        hundred = Publish(128, count // 10, True, 100)
        self._group("python publish outcomes", {
            "python-ours": hundred, "redis-py-asyncio": Publish(128, count // 100, True, 100),
            "python-glide": Publish(128, count // 100, True, 100),
        }, few)  # fmt: skip
        self._row("Python asyncio publish, await each, 100 at once", "messages/s", "python publish outcomes",
                  "python-ours", rate, (Target("redis-py-asyncio", 15, True),),
                  ("redis-py-asyncio", "python-glide"), None, True)  # fmt: skip
        self._group("python publish", {
            "python-ours": Publish(128, count // 4), "redis-py-asyncio": Publish(128, count // 100),
            "python-glide": Publish(128, count // 100), "redis-py": Publish(128, count // 100),
            "python-ours-sync": Publish(128, count // 4),
        }, few)  # fmt: skip
        self._row("Python asyncio publish, no outcomes", "messages/s", "python publish", "python-ours", rate, (),
                  ("redis-py-asyncio", "python-glide"), None, True)  # fmt: skip
        self._row("Python blocking publish, no outcomes", "messages/s", "python publish", "python-ours-sync", rate, (),
                  ("redis-py",), None, True)  # fmt: skip

    # ---- latency ----

    def _latency(self) -> None:
        count = 5_000 if self.quick else 20_000
        for name, load in (("idle", 0), ("while 100,000/s are received", 100_000)):
            group = f"latency {name}"
            workload = Latency(count, load=load)
            self._group(group, {"c-ours": workload, "c-hiredis": workload}, 5)
            for key, title in (("p50_us", "p50"), ("p99_us", "p99"), ("p999_us", "p99.9")):
                targets = (Target("c-hiredis", 1.2),) if not load and key == "p50_us" else ()
                self._row(f"C publish to deliver through Redis, {name}: {title}", "us", group, "c-ours", value(key),
                          targets, ("c-hiredis",))  # fmt: skip

    # ---- fan-out ----

    FANOUTS = (1, 1000, 100_000)

    def _fanout(self) -> None:
        for subscriptions in self.FANOUTS:
            group = f"fan-out {subscriptions}"
            count = max(20, min(2000, 3_000_000 // subscriptions)) // (2 if self.quick else 1)
            self._group(group, {"c-ours": Tool("fanout", count, subscriptions)}, 3)
            big = subscriptions == 100_000
            title = f"one message to {some(subscriptions)} local subscription{'s' if subscriptions > 1 else ''}"
            self._row(f"{title} (no hub yet): IO thread's CPU until the consumer is woken", "ms", group, "c-ours",
                      per_message("io_cpu_seconds", 1e3), (Target(1.0),) if big else ())  # fmt: skip
            self._row(f"{title} (no hub yet): CPU of the whole process", "ms", group, "c-ours",
                      per_message("cpu_seconds", 1e3))  # fmt: skip

    # ---- channels ----

    def channel_counts(self) -> tuple[int, ...]:
        return (10_000, 100_000) if self.quick else (100_000, 1_000_000)

    def _channels(self) -> None:
        largest = self.channel_counts()[-1]
        for count in self.channel_counts():
            group, repeat = f"channels {count}", 3
            self._group(group, {
                "c-ours": Tool("channels", count, count),
                REPLAY: Tool("replay", count, count, checked=False),
            }, repeat)  # fmt: skip
            big = count == largest
            self._row(f"resubscribe {some(count)} channels after a break", "ms", group, "c-ours",
                      lambda f: f.get("resubscribe_seconds", f.get("seconds")) * 1e3,
                      (Target(REPLAY, 1.3),) if big else (), (), REPLAY)  # fmt: skip
            self._row(f"subscribe {some(count)} channels", "ms", group, "c-ours",
                      lambda f: f.get("subscribe_seconds", f.get("seconds")) * 1e3, (), (), REPLAY)  # fmt: skip
            if big:
                self._memory(group, f"channel (20-byte name) at {some(count)}", 200.0)
                self._row(f"unsubscribe {some(count)} channels", "ms", group, "c-ours", value("unsubscribe_seconds", 1e3))
        for count in self.channel_counts():
            group = f"subscriptions {count}"
            self._group(group, {"c-ours": Tool("channels", count, 1)}, 3)
            if count == largest:
                self._memory(group, f"further subscription of one channel (no hub yet) at {some(count)}", 32.0)

    def _memory(self, group: str, what: str, target: float) -> None:
        self._row(f"memory per {what}: resident", "bytes", group, "c-ours", per_message("resident"), (Target(target),))
        self._row(f"memory per {what}: malloc's", "bytes", group, "c-ours", per_message("used"))
        self._row(f"memory per {what}: still resident after unsubscribing", "bytes", group, "c-ours",
                  per_message("left_resident"))  # fmt: skip
        self._row(f"memory per {what}: still malloc's after unsubscribing", "bytes", group, "c-ours",
                  per_message("left_used"))  # fmt: skip

    # ---- engines ----

    def _engines(self) -> None:
        count = 200 if self.quick else 1000
        workload = Tool("engines", count)
        self._group("engines", {"c-ours": workload, "c-hiredis": workload}, 3)
        what = f"open, connect and close an engine ({some(count)} in turn; hiredis: two connections)"
        self._row(f"{what}: CPU", "us", "engines", "c-ours", per_message("cpu_seconds", 1e6), (), ("c-hiredis",))
        self._row(f"{what}: time", "us", "engines", "c-ours", per_message("seconds", 1e6), (), ("c-hiredis",))

    # ---- growth ----

    def _growth(self) -> None:
        """How much more one unit costs when there are many: 1 is flat. Above 2 something grows that should not."""
        flat = (Target(2.0),)
        small, large = self.channel_counts()
        ours = {"group": f"channels {large}", "ours": "c-ours", "targets": flat, "per": f"channels {small}"}
        for what, key in (("subscribe", "subscribe_cpu_seconds"), ("resubscribe", "resubscribe_cpu_seconds"),
                          ("unsubscribe", "unsubscribe_seconds"), ("memory of", "used")):  # fmt: skip
            self._row(f"growth: {what} a channel, {some(large)} against {some(small)}", "times",
                      figure=per_message(key), **ours)  # fmt: skip
        self._row(f"growth: memory of a further subscription, {some(large)} against {some(small)}", "times",
                  f"subscriptions {large}", "c-ours", per_message("used"), flat, per=f"subscriptions {small}")  # fmt: skip
        for what, key in (("IO thread's CPU", "io_cpu_seconds"), ("CPU of the whole process", "cpu_seconds")):
            def figure(f: Figures, key: str = key) -> float:
                return f[key] / f["messages"] / f["subscriptions"]

            self._row(f"growth: {what} for a subscription of a fan-out, 100,000 against 1,000", "times",
                      "fan-out 100000", "c-ours", figure, flat, per="fan-out 1000")  # fmt: skip
        if not self.quick:
            self._row("growth: C receive on 100,000 channels against 1,000", "times",
                      "receive 128 B, tcp, 100,000 channels", "c-ours", cpu_ns, flat, (), FLOOR,
                      per="receive 128 B, tcp, 1,000 channels")  # fmt: skip

    # ---- Django Channels ----

    def _channel_layers(self) -> None:
        """fanwire.channels against channels_redis's pub/sub layer, whose new_channel() does not wait for Redis."""
        few = 3 if self.quick else 5
        half, four_tenths = (Target("channels-redis", 0.5),), (Target("channels-redis", 0.4),)
        for what, mode, count, cpu, time in (
            ("new_channel", "new-channel", 2_000, (), half), ("group_send", "group-send", 5_000, four_tenths, ()),
        ):  # fmt: skip
            for at_once, name in ((1, "one at a time"), (50, "50 at once")):
                group = f"channels {mode} {at_once}"
                self._layers(group, Tool(mode, count if self.quick else 4 * count, at_once), few)
                self._layer_row(f"{what}, {name}: CPU", "us", group, per_message("cpu_seconds", 1e6), cpu)
                # One at a time, a round trip is compared with none.
                self._layer_row(f"{what}, {name}: time", "us", group, per_message("seconds", 1e6),
                                time if at_once > 1 else ())  # fmt: skip
        group = "channels group-fanout"
        self._layers(group, Tool("group-fanout", 50 if self.quick else 200, 500), few)
        same = (Target("channels-redis"),)
        self._layer_row("group_send to 500 consumers: CPU", "ms", group, per_message("cpu_seconds", 1e3), same)
        self._layer_row("group_send to 500 consumers: time", "ms", group, per_message("seconds", 1e3), same)
        group = "channels sync-send"
        self._layers(group, Tool("sync-send", 200 if self.quick else 1_000), few)
        self._layer_row("async_to_sync(group_send): time", "ms", group, per_message("seconds", 1e3), (Target(0.3),))

    def _layers(self, group: str, work: Tool, repeat: int) -> None:
        self._group(group, {"channels-ours": work, "channels-redis": work}, repeat)

    def _layer_row(self, name: str, unit: str, group: str, figure: Callable[[Figures], float],
                   targets: tuple[Target, ...] = ()) -> None:  # fmt: skip
        self._row(f"Python Channels {name}", unit, group, "channels-ours", figure, targets, ("channels-redis",))

    # ---- faces ----

    def _python_faces(self) -> None:
        count = 10_000 if self.quick else 40_000
        most = (Target("broadcaster", 0.3),)
        half = (Target("python-socketio", 0.5),)
        for what, title, original, targets in (
            ("broadcaster", "broadcaster, 100 publishes at once, all received", "broadcaster", most),
            ("broadcaster-one", "broadcaster, one publish at a time, received", "broadcaster", ()),
            ("emit", "Socket.IO emit, in a thread", "python-socketio", half),
            ("emit-async", "Socket.IO emit, asyncio, 100 at once", "python-socketio", half),
        ):
            group = f"python face {what}"
            self._group(group, {"python-faces": Face(what, count), original: Face(what, count)}, 3)
            self._row(f"Python {title}: CPU per message", "ns", group, "python-faces", cpu_ns,
                      targets, (original,))  # fmt: skip

    # ---- ws-kit, OriJS and Socket.IO ----

    def _ws_kit(self) -> None:
        """fanwire/ws-kit beside @ws-kit/redis-pubsub, with text as it is."""
        few, count = (3, 200_000) if self.quick else (5, 400_000)
        for what, work, less in (
            ("receive", Receive(128, count), Receive(128, count // 2)), ("publish", Publish(128, count), Publish(128, count // 4)),
        ):  # fmt: skip
            group = f"ws-kit {what}"
            self._group(group, {"ws-kit-ours": work, "ws-kit": less, "bun-ws-kit-ours": work, "bun-ws-kit": less}, few)
            for name, prefix in (("Node", ""), ("Bun", "bun-")):
                self._row(f"{name} ws-kit {what}: CPU per message", "ns", group, f"{prefix}ws-kit-ours", cpu_ns,
                          (Target(f"{prefix}ws-kit", 0.6),), (f"{prefix}ws-kit",))  # fmt: skip

    def _orijs(self) -> None:
        """fanwire/orijs beside a stand-in for @orijs/websocket-redis, which is on no registry: tests/bench/node/orijs.mjs."""
        few, count = (3, 200_000) if self.quick else (5, 400_000)
        around = ('{"topic":"bench:0","message":"', '","isBinary":false}')
        for what, work, less in (
            ("receive", Receive(128, count, around=around), Receive(128, count // 2, around=around)),
            ("publish", Publish(128, count), Publish(128, count // 4)),
        ):
            group = f"orijs {what}"
            self._group(group, {"orijs-ours": work, "orijs": less}, few)
            self._row(f"Node OriJS provider {what}: CPU per message", "ns", group, "orijs-ours", cpu_ns,
                      (Target("orijs", 0.5),), ("orijs",))  # fmt: skip

    def _socketio(self) -> None:
        """A server with fanwire's adapter beside one with @socket.io/redis-adapter; "classic" is the wire of that."""
        few, count = (3, 100_000) if self.quick else (5, 200_000)
        # With the classic wire a server gets everything, too, and can but spare reading it.
        for mode, name, *limits in (("apart", "no member of the room", 0.1, None), ("member", "a member of the room", 0.7, 0.7)):
            group, work = f"socketio {mode}", Tool(f"socketio-{mode}", count)
            self._group(group, {"socketio-ours": work, "socketio-classic": work, "socketio": work}, few)
            for ours, wire, limit in (("socketio-ours", "", limits[0]), ("socketio-classic", ", classic wire", limits[1])):
                targets = () if limit is None else (Target("socketio", limit),)
                self._row(f"Node Socket.IO server with {name}{wire}: CPU per message", "us", group, ours,
                          per_message("cpu_seconds", 1e6), targets, ("socketio",))  # fmt: skip
