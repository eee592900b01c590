"""How each kind of measurement is taken: one run of one driver, with everything checked."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import time

from drivers import RUN_S, Driver, DriverError, Process
from server import Server

Figures = dict[str, float]


@dataclasses.dataclass
class Bench:
    """What every run needs. `lose`: the number of a message that the load leaves out, to show that it is noticed."""

    server: Server
    drivers: dict[str, Driver]
    lose: int = 0
    # What became of a driver whose link was broken, by driver and transport: "" when it hears again.
    hearing: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Receive:
    """The driver receives what the load publishes at full speed."""

    size: int
    count: int
    channels: int = 1
    transport: str = "tcp"
    around: tuple[str, str] = ("", "")  # each payload

    def run(self, bench: Bench, driver: Driver) -> Figures:
        if driver.is_client:
            must_hear_again(bench, driver, self)
        shape = ["--channels", str(self.channels), "--size", str(self.size), "--count", str(self.count)]
        url = bench.server.url(self.transport)
        load = [*bench.drivers["c-raw"].command, "load", "--url", bench.server.url("tcp"), *shape]
        load += ["--before", self.around[0], "--after", self.around[1]]
        if bench.lose:
            load += ["--skip", str(bench.lose)]
        with start(driver, ["receive", *driver.arguments(url, bench.server.ca), *shape]) as receiver:
            receiver.ready()
            with Process("load", load) as publisher:
                publisher.ready()
                try:
                    publisher.result(messages=self.count - (1 if bench.lose else 0))
                except DriverError:
                    receiver.result(1.0, self.count)  # has it ended? Then it knows better why nobody listened
                    raise
            # Everything is in Redis's buffers or beyond: what does not come now is lost.
            return receiver.result(60.0, self.count)


HEAR_S = 10.0  # to subscribe again


class Deaf(DriverError):
    """Its link was broken once, and it hears nothing since."""


def must_hear_again(bench: Bench, driver: Driver, work: Receive) -> None:
    """Before a driver is counted, once for each transport, in a process of its own: what breaks a link in the counted run
    would be in the figures."""
    known = (driver.key, work.transport)
    if known not in bench.hearing:
        bench.hearing[known] = _after_a_break(bench, driver, dataclasses.replace(work, size=128, count=100, channels=1))
    if bench.hearing[known]:
        raise Deaf(bench.hearing[known])


def _after_a_break(bench: Bench, driver: Driver, work: Receive) -> str:
    """Why it hears no more; "" when it does. What fails before the break is an error of its own."""
    settle(bench.server)
    shape = ["--channels", "1", "--size", str(work.size), "--count", str(work.count)]
    url = bench.server.url(work.transport)
    load = [*bench.drivers["c-raw"].command, "load", "--url", bench.server.url("tcp"), *shape]
    load += ["--before", work.around[0], "--after", work.around[1]]
    with start(driver, ["receive", *driver.arguments(url, bench.server.ca), *shape, "--broken-once"]) as receiver:
        receiver.ready()
        if int(bench.server.command("CLIENT", "KILL", "TYPE", "pubsub")) == 0:
            raise DriverError(f"{driver.label}: it has no link that could be broken")
        until = time.monotonic() + HEAR_S
        while bench.server.info("stats", "pubsub_channels") == "0":
            if receiver.ended() or time.monotonic() > until:
                how = "ends" if receiver.ended() else "does not subscribe again"
                return f"deaf: {how} when its link breaks"
            time.sleep(0.005)
        try:
            with Process("load", load) as publisher:
                publisher.ready()
                publisher.result(messages=work.count)
            receiver.result(HEAR_S, work.count)
        except DriverError as error:
            return f"deaf: its link broke, it subscribed again, and then: {error}"
    return ""


@dataclasses.dataclass(frozen=True)
class Publish:
    """The driver publishes where nobody listens. `count` is what Redis must have executed in the end."""

    size: int
    count: int
    outcomes: bool = False
    in_flight: int = 0
    threads: int = 1

    def run(self, bench: Bench, driver: Driver) -> Figures:
        bench.server.reset()
        if driver.key == "redis-benchmark":
            figures = self._redis_benchmark(bench, driver)
        else:
            arguments = ["publish", *driver.arguments(bench.server.url("tcp"), bench.server.ca)]
            arguments += ["--size", str(self.size), "--count", str(self.count)]
            if self.outcomes:
                arguments += ["--outcomes"]
            if self.in_flight:
                arguments += ["--in-flight", str(self.in_flight)]
            if self.threads > 1:
                arguments += ["--threads", str(self.threads)]
            with start(driver, arguments) as publisher:
                publisher.ready()
                figures = publisher.result(messages=self.count)
        executed = bench.server.published()
        if executed != self.count:
            raise DriverError(f"{driver.label}: Redis has executed {executed} of {self.count} publishes")
        return figures

    def _redis_benchmark(self, bench: Bench, driver: Driver) -> Figures:
        """It says how many requests it made a second: of -n, each of the -P commands of a pipeline is one."""
        command = [*driver.command, "-p", str(bench.server.port), "-c", "1", "-P", "100", "-n", str(self.count), "--csv"]
        command += ["PUBLISH", "ws:bench:publish", "x" * self.size]
        with tempfile.TemporaryFile("w+") as output:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read()
        if child.returncode != 0:
            raise DriverError(f"redis-benchmark: exit code {child.returncode}: {text[-200:]}")
        rate = float(text.strip().splitlines()[-1].split('","')[1])
        return {"messages": self.count, "seconds": self.count / rate, "cpu_seconds": usage.ru_utime + usage.ru_stime}


@dataclasses.dataclass(frozen=True)
class Latency:
    """From publishing to having the message, one at a time; while `load` other messages a second come to the same client."""

    count: int
    size: int = 128
    load: int = 0

    def run(self, bench: Bench, driver: Driver) -> Figures:
        url = bench.server.url("tcp")
        arguments = ["latency", "--url", url, "--size", str(self.size), "--count", str(self.count)]
        with start(driver, [*arguments, "--channels", "2" if self.load else "1"]) as prober:
            prober.ready()
            if not self.load:
                return prober.result(messages=self.count)
            load = [*bench.drivers["c-raw"].command, "load", "--url", url, "--size", str(self.size)]
            with Process("load", [*load, "--rate", str(self.load), "--count", "1000000000"]) as publisher:
                publisher.ready()
                return prober.result(messages=self.count)


@dataclasses.dataclass(frozen=True)
class Tool:
    """A measurement that the driver takes by itself: paced, fanout, channels, replay, engines."""

    what: str
    count: int = 1
    channels: int = 1
    checked: bool = True  # its result says how many `messages` there were

    def run(self, bench: Bench, driver: Driver) -> Figures:
        settle(bench.server)
        arguments = [self.what, "--url", bench.server.url("tcp")]
        if bench.lose and self.what == "socketio-member":
            arguments += ["--lose", str(bench.lose)]
        with start(driver, [*arguments, "--count", str(self.count), "--channels", str(self.channels)]) as tool:
            if self.what == "fanout":
                tool.ready()
            return tool.result(RUN_S * 3, self.count if self.checked else None)


@dataclasses.dataclass(frozen=True)
class Face:
    """The driver does with a face, or with the original, what that is for; it checks by itself that all has come."""

    what: str
    count: int

    def run(self, bench: Bench, driver: Driver) -> Figures:
        settle(bench.server)
        arguments = [self.what, "--url", bench.server.url("tcp"), "--count", str(self.count)]
        with start(driver, arguments) as face:
            face.ready()
            return face.result(RUN_S, self.count)


Workload = Receive | Publish | Latency | Tool | Face


def start(driver: Driver, arguments: list[str]) -> Process:
    return Process(driver.label, [*driver.command, *arguments], dict(driver.environment))


def settle(server: Server) -> None:
    """Waits until Redis has forgotten the channels of whoever ran before."""
    until = time.monotonic() + 60
    while server.info("stats", "pubsub_channels") != "0":
        if time.monotonic() > until:
            raise DriverError("Redis keeps channels of a client that is gone")
        time.sleep(0.005)
