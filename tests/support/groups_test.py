#!/usr/bin/env python3
"""Tests tests/support/groups against the redis-server that is first on PATH: every kind starts, gets a master again after a
kill, does what its commands say, and leaves nothing behind however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import unittest

import groups
from groups.network import Network

HERE = pathlib.Path(__file__).resolve().parent


def processes_of(folder: str) -> list[pathlib.Path]:
    """In /proc: those that live in that folder (servers put other words in the place of their command line)."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(path / "cwd").startswith(folder + "/") or folder.encode() in (path / "cmdline").read_bytes():
                found.append(path)
    return found


def namespaces_of(folder: str) -> set[str]:
    """The network namespaces that its processes are in, but for ours."""
    return {os.readlink(path / "ns" / "net") for path in processes_of(folder)} - {os.readlink("/proc/self/ns/net")}


def all_namespaces() -> set[str]:
    """In which any process is, or that any process has open."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(path / "ns" / "net"))
        with contextlib.suppress(OSError):
            for descriptor in (path / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(os.readlink(descriptor))
    return found


def have_namespaces() -> str:
    """Why there are none; "" if there are."""
    try:
        Network().close()
    except (groups.GroupError, OSError) as error:
        return str(error)
    return ""


NO_NAMESPACES = have_namespaces()


def have_tls() -> bool:
    try:
        groups.Group(groups.Wishes(tls=True)).close()
    except groups.NotStarted as error:
        if "Failed finding TLS" in str(error):
            return False
        raise
    return True


HAVE_TLS = have_tls()
every_kind = ("single", "sentinel", "cluster")


class Command:
    """The command, with its first line read."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-B", str(HERE / "groups"), *arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        self._deadline = threading.Timer(90, self.process.kill)
        self._deadline.daemon = True
        self._deadline.start()
        self.first = json.loads(self.process.stdout.readline())

    def ask(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait(self) -> int:
        code = self.process.wait(30)
        self._deadline.cancel()
        self.process.stdin.close()
        self.process.stdout.close()
        return code


class NothingIsLeft(unittest.TestCase):
    def check(self, kind: str, end, *more: str) -> int:
        command = Command(kind, *more)
        folder, link = command.first["folder"], command.first["link"]
        before = namespaces_of(folder)
        self.assertEqual((bool(before), link in os.listdir("/sys/class/net")), (bool(more), bool(more)))
        self.assertGreaterEqual(len(processes_of(folder)), len(command.first["nodes"]))
        end(command.process)
        code = command.wait()
        groups.wait_until("processes end", lambda: not processes_of(folder))
        groups.wait_until("the folder goes", lambda: not os.path.exists(folder))
        groups.wait_until("the link goes", lambda: link not in os.listdir("/sys/class/net"))
        groups.wait_until("namespaces go", lambda: not before & all_namespaces())
        return code

    def test_input_ends(self) -> None:
        for kind in every_kind:
            with self.subTest(kind):
                self.assertEqual(self.check(kind, lambda process: process.stdin.close()), 0)

    def test_signalled(self) -> None:
        self.assertEqual(self.check("sentinel", lambda process: process.terminate()), 143)
        self.assertEqual(self.check("cluster", lambda process: process.send_signal(signal.SIGINT)), 130)

    def test_killed(self) -> None:
        for kind in every_kind:
            with self.subTest(kind):
                self.assertEqual(self.check(kind, lambda process: process.kill()), -9)

    @unittest.skipIf(NO_NAMESPACES, NO_NAMESPACES)
    def test_with_namespaces(self) -> None:
        self.assertEqual(self.check("sentinel", lambda process: process.terminate(), "--namespaces"), 143)
        self.assertEqual(self.check("sentinel", lambda process: process.kill(), "--namespaces"), -9)

    def test_one_that_does_not_start(self) -> None:
        command = Command("single", "--set", "no-such-setting 1")
        self.assertIn("redis does not start: ", command.first["error"])
        self.assertEqual(command.wait(), 1)
        command = Command("single", "--server", "/nonexistent")
        self.assertEqual(command.first, {"error": "there is no redis-server in /nonexistent"})
        self.assertEqual(command.wait(), 1)


class CommandTest(unittest.TestCase):
    def setUp(self) -> None:
        self.command = Command("single", "--password", "secret", "--user", "app on >word ~* &* +@all")
        self.addCleanup(self.command.wait)
        self.addCleanup(self.command.process.terminate)

    def cli(self, *words: str) -> str:
        port = str(self.command.first["nodes"]["redis"]["port"])
        done = subprocess.run(["redis-cli", "--no-auth-warning", "-p", port, *words], capture_output=True, text=True,
                              timeout=20, check=False)  # fmt: skip
        return (done.stdout + done.stderr).strip()

    def test_passwords_and_users(self) -> None:
        self.assertIn("NOAUTH", self.cli("PING"))
        self.assertEqual(self.cli("-a", "secret", "PING"), "PONG")
        self.assertEqual(self.cli("--user", "app", "--pass", "word", "ACL", "WHOAMI"), "app")
        self.assertTrue(self.command.first["url"].startswith("redis://:secret@127.0.0.1:"))

    def test_answers(self) -> None:
        self.assertEqual(self.command.ask("call redis SET k 'two words'"), {"ok": "OK"})
        self.assertEqual(self.command.ask("call redis GET k"), {"ok": "two words"})
        self.assertEqual(self.command.ask("pause redis"), {"ok": None})
        self.assertEqual(self.command.ask("describe")["ok"]["nodes"]["redis"]["role"], "down")
        self.assertEqual(self.command.ask("resume redis"), {"ok": None})
        before = self.command.first["nodes"]["redis"]
        after = self.command.ask("restart redis")["ok"]
        self.assertNotEqual(after, before["pid"])
        self.assertEqual(self.command.ask("describe")["ok"]["nodes"]["redis"], {**before, "pid": after})
        self.assertEqual(self.command.ask("kill redis"), {"ok": None})
        self.assertEqual(self.command.ask("call redis PING").keys(), {"error"})

    def test_errors(self) -> None:
        for line, text in (("call redis NOSUCH", "ERR unknown command"), ("kill other", "there is no node 'other'"),
                           ("owner 1", "a group of kind single has no command 'owner'"), ("kill", "missing 1 required"),
                           ("close", "has no command 'close'"), ("call 'x", "No closing quotation"),
                           ("cut redis host", "only a group in network namespaces can be cut")):  # fmt: skip
            with self.subTest(line):
                self.assertIn(text, self.command.ask(line)["error"])


class SentinelTest(unittest.TestCase):
    def start(self, **wishes) -> groups.SentinelGroup:
        return self.enterContext(groups.SentinelGroup(groups.Wishes(**wishes)))

    def test_a_killed_master_is_replaced_and_comes_back_as_a_replica(self) -> None:
        group = self.start()
        self.assertEqual(group.master(), "redis0")
        port = group.nodes["sentinel0"].port
        asked = subprocess.run(["redis-cli", "-p", str(port), "SENTINEL", "CKQUORUM", "mymaster"], capture_output=True,
                               text=True, timeout=20, check=True).stdout  # fmt: skip
        self.assertTrue(asked.startswith("OK 3 usable Sentinels"), asked)
        group.kill("redis0")
        self.assertIn(group.wait_master("redis0"), ("redis1", "redis2"))
        group.restart("redis0")
        groups.wait_until("it is demoted", lambda: group.role_of(group.nodes["redis0"]) == "replica")

    def test_failover_by_hand_and_of_a_paused_master(self) -> None:
        group = self.start(**({"tls": True} if HAVE_TLS else {}), password="secret")
        before = group.master()
        after = group.failover()
        self.assertNotEqual(after, before)
        group.pause(after)
        self.assertNotEqual(group.wait_master(after), after)
        group.resume(after)

    @unittest.skipIf(NO_NAMESPACES, NO_NAMESPACES)
    def test_a_master_that_is_cut_off(self) -> None:
        group = self.start(namespaces=True)
        others = [name for name in group.nodes if name != "redis0"]
        for other in others:
            group.cut("redis0", other)
        self.assertEqual(group.nodes["redis0"].call("PING"), "PONG")  # from here it is to be had as before
        after = group.wait_master("redis0")
        self.assertEqual(group.role_of(group.nodes["redis0"]), "master")  # two of them now
        group.heal()
        groups.wait_until("it is demoted", lambda: group.role_of(group.nodes["redis0"]) == "replica")
        self.assertEqual(group.master(), after)
        group.cut("redis0", "host")
        with self.assertRaises(OSError):
            group.nodes["redis0"].connect(0.3)
        group.heal("redis0", "host")
        groups.wait_until("it answers", lambda: group.nodes["redis0"].call("PING") == "PONG")


class ClusterTest(unittest.TestCase):
    def start(self, **wishes) -> groups.Cluster:
        return self.enterContext(groups.Cluster(groups.Wishes(**wishes)))

    def test_a_killed_master_is_replaced(self) -> None:
        cluster = self.start()
        port = cluster.nodes["redis1"].port
        asked = subprocess.run(["redis-cli", "--cluster", "check", f"127.0.0.1:{port}"], capture_output=True, text=True,
                               timeout=20, check=True).stdout  # fmt: skip
        self.assertIn("[OK] All 16384 slots covered.", asked)
        cluster.kill("redis0")
        self.assertEqual(set(cluster.wait_master("redis0")), {"redis1", "redis2", "redis3"})
        self.assertEqual(cluster.owner(0), "redis3")
        cluster.restart("redis0")
        groups.wait_until("it comes back as a replica", lambda: cluster.role_of(cluster.nodes["redis0"]) == "replica")
        cluster.wait_up()
        self.assertEqual(cluster.failover("redis3"), "redis0")
        self.assertEqual(cluster.failover("redis0", "FORCE"), "redis3")

    def test_slots_move_with_keys_and_without(self) -> None:
        cluster = self.start(**({"tls": True} if HAVE_TLS else {}), password="secret")
        tag = cluster.fill(100, 25)
        self.assertEqual(cluster.owner(100), "redis0")
        self.assertEqual(cluster.migrate(100, "redis1"), 25)
        self.assertEqual(cluster.owner(100), "redis1")
        self.assertEqual(cluster.call("redis1", "GET", f"{{{tag}}}:24"), "x" * 64)
        self.assertEqual(cluster.migrate(101, "redis2"), 0)
        cluster.open(100, "redis0")
        with self.assertRaisesRegex(groups.GroupError, "ASK 100 "):
            cluster.call("redis1", "GET", f"{{{tag}}}:no")
        cluster.move_keys(100, "redis0")
        cluster.finish(100, "redis0")
        if cluster.server()[0] == "valkey":
            cluster.migrate_atomic(100, 102, "redis1") if cluster.migrate(101, "redis0") == 0 else self.fail()
            self.assertEqual([cluster.owner(slot) for slot in (99, 100, 101, 102)], ["redis0", *["redis1"] * 3])
            self.assertEqual(cluster.call("redis1", "GET", f"{{{tag}}}:24"), "x" * 64)

    def test_nodes_are_added_and_removed(self) -> None:
        cluster = self.start()
        self.assertEqual(cluster.add("redis6")["role"], "master")
        self.assertEqual(cluster.add("redis7", "redis6")["role"], "replica")
        self.assertEqual(cluster.replicas("redis6"), ["redis7"])
        cluster.migrate(0, "redis6")
        with self.assertRaisesRegex(groups.GroupError, "redis6 has slots: 0"):
            cluster.remove("redis6")
        cluster.migrate(0, "redis0")
        cluster.remove("redis7")
        cluster.remove("redis6")
        cluster.wait_up()
        self.assertEqual(len(cluster.nodes), 6)

    @unittest.skipIf(NO_NAMESPACES, NO_NAMESPACES)
    def test_a_master_that_is_cut_off(self) -> None:
        cluster = self.start(namespaces=True)
        others = [name for name in cluster.nodes if name != "redis0"]
        for other in others:
            cluster.cut("redis0", other)
        groups.wait_until("the others elect one", lambda: cluster.owner(0, "redis1") == "redis3")
        groups.wait_until("it notices", lambda: "cluster_state:fail" in cluster.call("redis0", "CLUSTER", "INFO"))
        cluster.heal()
        self.assertEqual(set(cluster.wait_master("redis0")), {"redis1", "redis2", "redis3"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
