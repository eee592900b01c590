"""The benchmark's runner with next to no counts: every kind of row gives figures, and a lost message is a failure by name.

    runner_test.py BUILD        BUILD: where the C drivers are
"""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import report
import workloads
from drivers import Driver, DriverError, Places, Process, all_drivers
from report import Measurements
from rows import Group, Row, Target
from run import make_certificates, measure
from server import Server
from workloads import Bench, Receive

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(sys.argv.pop(1))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", str(HERE / "run.py"), "--build", str(BUILD), "--smoke", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


class RunnerTest(unittest.TestCase):
    def test_every_kind_of_row(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out, svg = pathlib.Path(folder, "rows.json"), pathlib.Path(folder, "chart.svg")
            page, readme = pathlib.Path(folder, "speed.md"), pathlib.Path(folder, "README.md")
            for file in (page, readme):
                file.write_text("before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n")
            done = run("--json", str(out), "--svg", str(svg), "--page", str(page), "--readme", str(readme))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            rows = json.loads(out.read_text())
            text, headlines = page.read_text(), readme.read_text()
            self.assertIn("<svg", svg.read_text())
        for row in rows:
            with self.subTest(row["name"]):
                if row["name"].startswith(("Node", "Bun", "Python")):
                    self.assertIsNone(row["ours"])
                    self.assertEqual(row["verdict"], "not measured")
                    self.assertTrue(row["problems"])
                else:
                    self.assertIsNotNone(row["ours"])
                    self.assertEqual(row["problems"], [])
                    self.assertEqual(row["target"] is None, row["reached"] is None)
        self.assertIn("not measured: Node ioredis: ", done.stdout)
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertNotIn("old", text)
        self.assertIn("| C publish, 1 thread, no outcomes |", text)
        self.assertIn("| C publish, 1 thread, no outcomes, messages/s |", headlines)
        self.assertNotIn("old", headlines)
        self.assertEqual(set(report.HEADLINES) - {row["name"] for row in rows}, set())

    def test_a_lost_message_fails_every_receiver_by_name(self) -> None:
        done = run("--only", "C receive 128 B, tcp: CPU", "--lose", "50")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for driver in ("fanwire", "hiredis", "bare read+scan"):
            self.assertRegex(done.stdout, rf"FAILED: receive 128 B, tcp: C {re.escape(driver)}: .*message 51 .* where 50 was due")

    def test_strict_fails_for_what_could_not_be_measured(self) -> None:
        done = run("--only", "Python asyncio receive", "--strict")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("not judged: Python asyncio receive 128 B, tcp: CPU per message: not measured", done.stdout)


class DeafTest(unittest.TestCase):
    """A receiver's link is broken once before it is counted."""

    DEAF = """
import socket, sys
port = int(sys.argv[sys.argv.index('--url') + 1].rsplit(':', 1)[1])
link = socket.create_connection(('127.0.0.1', port))
link.sendall(b'SUBSCRIBE ws:bench:0\\r\\n')
link.recv(100)
print('ready', flush=True)
while link.recv(65536):
    pass
%s
"""

    def setUp(self) -> None:
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        make_certificates(folder / "certificates")
        server = Server(folder, folder / "certificates")
        self.addCleanup(server.stop)
        self.bench = Bench(server, all_drivers(Places(BUILD, None, None)))
        self.enterContext(unittest.mock.patch.object(workloads, "HEAR_S", 0.3))

    def measured(self, driver: Driver) -> Measurements:
        self.bench.drivers["peer"] = driver
        measurements = Measurements()
        with unittest.mock.patch("run.note"):
            measure(Group("receive", {"peer": Receive(128, 1000)}, 2), self.bench, measurements)
        return measurements

    def test_those_that_hear_again_get_a_figure(self) -> None:
        for key in ("c-ours", "c-hiredis", "c-raw"):
            with self.subTest(key):
                found = self.measured(self.bench.drivers[key])
                self.assertEqual((found.problems, found.deaf), ({}, {}))
                self.assertEqual(len(found.runs["receive", "peer"]), 2)
        self.assertEqual(self.bench.hearing, {("c-ours", "tcp"): "", ("c-hiredis", "tcp"): ""})

    def test_who_stays_deaf_gets_a_word(self) -> None:
        for rest, word in (("import time; time.sleep(60)", "deaf: does not subscribe again when its link breaks"),
                           ("", "deaf: ends when its link breaks")):  # fmt: skip
            with self.subTest(word):
                self.bench.hearing.clear()
                found = self.measured(Driver("peer", "a peer", "C", (sys.executable, "-c", self.DEAF % rest)))
                self.assertEqual((found.problems, found.deaf, found.runs), ({}, {("receive", "peer"): word}, {}))
        self.bench.hearing.clear()
        found = self.measured(Driver("peer", "ours", "C", (sys.executable, "-c", self.DEAF % ""), ours=True))
        self.assertEqual(found.problems, {("receive", "peer"): word})

    def test_the_row_says_so_and_the_other_targets_judge(self) -> None:
        row = Row("a row", "ns", "g", "c-ours", ("c-hiredis", "c-publish"), None, lambda f: f["x"],
                  (Target("c-hiredis", 0.1), Target("c-publish", 0.6)))  # fmt: skip
        found = Measurements()
        found.deaf["g", "c-hiredis"] = "deaf: ..."
        for key, x in (("c-ours", 1.0), ("c-publish", 2.0)):
            found.add("g", key, {"x": x})
        result = report._evaluate(row, found, self.bench.drivers)
        self.assertEqual((result.reached, result.ratio, result.deaf), (True, 0.5, ["hiredis"]))
        self.assertIn("hiredis deaf after a break", report.table([result]))
        found.deaf["g", "c-publish"] = "deaf: ..."
        self.assertIn("deaf after a break", report._evaluate(row, found, self.bench.drivers).verdict)


class BarePublishTest(unittest.TestCase):
    """The floor of the publish rows looks at every reply."""

    def setUp(self) -> None:
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        make_certificates(folder / "certificates")
        self.server = Server(folder, folder / "certificates")
        self.addCleanup(self.server.stop)

    def publish(self, count: int, *more: str) -> Process:
        command = [str(BUILD / "fanwire_bench_raw"), "publish", "--url", self.server.url("tcp"), "--count", str(count), *more]
        return self.enterContext(Process("bare", command))

    def test_all_are_executed(self) -> None:
        for count, more in ((1, ()), (30_000, ()), (300, ("--in-flight", "1")), (10_000, ("--in-flight", "7")),
                            (30_000, ("--in-flight", "1000", "--size", "4096"))):  # fmt: skip
            with self.subTest(count=count, more=more):
                self.server.reset()
                driver = self.publish(count, *(("--outcomes", *more) if more else ()))
                driver.ready()
                self.assertGreater(driver.result(messages=count)["seconds"], 0)
                self.assertEqual(self.server.published(), count)

    def test_somebody_listens(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as listener:
            listener.sendall(b"SUBSCRIBE ws:bench:publish\r\n")
            self.assertTrue(listener.recv(100))
            driver = self.publish(10)
            driver.ready()
            with self.assertRaisesRegex(DriverError, "PUBLISH was answered :1"):
                driver.result()


class DriverTest(unittest.TestCase):
    """A driver that does not do what it should is a failure that names it, whatever the language."""

    def failure_of(self, program: str, seconds: float = 60.0) -> str:
        with Process("liar", [sys.executable, "-c", "print('ready', flush=True);" + program]) as process:
            process.ready()
            with self.assertRaises(DriverError) as caught:
                process.result(seconds, 10)
        return str(caught.exception)

    def test_failures(self) -> None:
        for program, said in (
            ("print('{\"messages\": 9, \"wrong\": 0}')", "liar: 9 messages instead of 10"),
            ("print('{\"messages\": 10, \"wrong\": 1}')", "liar: 1 messages were wrong, missing or out of order"),
            ("print('{\"messages\": 10}')", "liar: None messages were wrong, missing or out of order"),
            ("print('{\"messages\": 10, \"wrong\": 0}'); raise SystemExit('late')", "liar: exit code 1: late"),
            ("print('done')", "liar: said 'done' instead of figures"),
            ("raise SystemExit('message 7 is missing')", "liar: ended with exit code 1 instead of result: message 7 is missing"),
        ):
            with self.subTest(said):
                self.assertEqual(self.failure_of(program), said)

    def test_silence(self) -> None:
        self.assertEqual(self.failure_of("import signal; signal.pause()", 0.3), "liar: no result within 0.3 s")


if __name__ == "__main__":
    unittest.main()
