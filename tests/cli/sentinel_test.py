"""The fanwire command on a Sentinel group: it finds the master, and follows it."""

import sys
import unittest
from pathlib import Path

import support
from support import RedisTest, Running, run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from groups.group import Wishes  # noqa: E402
from groups.sentinel import SentinelGroup  # noqa: E402

NOBODY = "redis-sentinel://127.0.0.1:1?master=mymaster"


class GroupTest(unittest.TestCase):
    """Each test with a group of its own: failovers leave traces."""

    wishes = Wishes()

    def setUp(self):
        self.group = SentinelGroup(self.wishes)
        self.addCleanup(self.group.close)
        self.url = self.group.url()

    def start(self, *arguments):
        running = Running(*arguments)
        self.addCleanup(running.close)
        return running

    def subscribe(self, *arguments):
        sub = self.start("sub", "chat", "--url", self.url, *arguments)
        sub.wait_note("subscribed to chat")
        return sub

    def publish(self, text, *arguments):
        done = run("pub", "chat", text, "--url", self.url, "--timeout", "20", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return int(done.stdout)

    def expect_delivered(self, sub, text, *arguments):
        self.assertEqual(self.publish(text, *arguments), 1)
        self.assertEqual(sub.line(), text.encode())

    def expect_on(self, sub, name):
        """`sub` has come to the group's node of that name after a failover."""
        sub.wait_note("another server has become the master")
        sub.wait_note("subscribed to chat again")
        channels = self.group.call(name, "PUBSUB", "NUMSUB", "ws:chat")
        self.assertEqual(channels, ["ws:chat", 1])


class Failover(GroupTest):
    def test_a_killed_master_is_followed_and_left_when_it_returns(self):
        sub = self.subscribe()
        self.expect_delivered(sub, "before")
        self.group.kill("redis0")
        sub.wait_note("lost chat")
        now = self.group.wait_master("redis0")
        self.expect_on(sub, now)
        self.expect_delivered(sub, "after")
        # It calls itself a master for about ten seconds, and takes publishes.
        self.group.restart("redis0")
        self.assertEqual(self.group.call("redis0", "PUBLISH", "ws:chat", "astray"), 0)
        for i in range(20):
            self.expect_delivered(sub, f"returned {i}")

    def test_a_master_that_hangs_is_left_and_stays_so_when_it_goes_on(self):
        sub = self.subscribe()
        self.group.pause("redis0")
        now = self.group.wait_master("redis0")
        self.expect_on(sub, now)
        self.group.resume("redis0")
        for i in range(20):
            self.expect_delivered(sub, f"returned {i}")

    def test_a_failover_that_somebody_asked_for(self):
        sub = self.subscribe()
        now = self.group.failover()
        self.expect_on(sub, now)
        self.expect_delivered(sub, "after")

    def test_a_replica_is_left_although_it_takes_everything(self):
        """Not by way of the sentinels: the links stay up, and only ROLE shows it."""
        sub = self.subscribe()
        for i in range(3):
            self.group.kill(f"sentinel{i}")
        self.group.call("redis0", "REPLICAOF", "127.0.0.1", str(self.group.nodes["redis1"].port))
        sub.wait_note("the server is a replica of 127.0.0.1")
        done = run("pub", "chat", "astray", "--url", self.url, "--timeout", "1")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.group.call("redis0", "REPLICAOF", "NO", "ONE")
        sub.wait_note("subscribed to chat again")

    def test_one_sentinel_is_enough(self):
        sub = self.subscribe()
        self.group.kill("sentinel0")
        self.group.kill("sentinel2")
        self.expect_delivered(sub, "one left")
        self.group.restart("sentinel0")
        self.group.restart("sentinel2")
        self.group.kill("redis0")
        self.expect_on(sub, self.group.wait_master("redis0"))

    def test_one_known_sentinel_names_the_others(self):
        one = self.group.nodes["sentinel0"]
        self.url = f"redis-sentinel://127.0.0.1:{one.port}?master=mymaster"
        sub = self.subscribe("--log-level", "info")
        self.group.kill("sentinel0")
        self.group.kill("redis0")
        self.expect_on(sub, self.group.wait_master("redis0"))


    def test_a_sentinel_is_no_redis_and_knows_its_groups(self):
        port = self.group.nodes["sentinel0"].port
        for url, said in (
            (f"redis://127.0.0.1:{port}", "is a sentinel.*redis-sentinel://"),
            (f"redis-sentinel://127.0.0.1:{port}?master=other", 'the sentinel knows no master named "other"'),
        ):
            done = run("pub", "chat", "x", "--url", url, "--timeout", "5", "--max-reconnect-attempts", "1")
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertRegex(done.stderr.decode(), said)


class Forbidden(GroupTest):
    """The user that the documentation proposes for clients: no SUBSCRIBE, no channels."""

    RULES = (
        "on", ">c1", "resetchannels", "-@all", "+auth", "+client|setname", "+ping", "+role", "+sentinel|myid",
        "+sentinel|get-master-addr-by-name", "+sentinel|master", "+sentinel|replicas", "+sentinel|sentinels",
    )  # fmt: skip

    def test_sentinels_are_asked_when_they_may_not_be_listened_to(self):
        for i in range(3):
            self.group.call(f"sentinel{i}", "ACL", "SETUSER", "client", *self.RULES)
        self.url = self.url.replace("?", "?sentinel_username=client&sentinel_password=c1&")
        sub = self.subscribe()
        self.expect_delivered(sub, "before")
        now = self.group.failover()
        self.expect_on(sub, now)
        self.expect_delivered(sub, "after")


class Tls(GroupTest):
    wishes = Wishes(tls=True, password="w1")

    def test_all_links_speak_it(self):
        self.assertTrue(self.url.startswith("rediss-sentinel://"))
        self.url = self.url.replace("?", "?sentinel_password=w1&")
        ca = self.group.describe()["ca"]
        sub = self.subscribe("--tls-ca-file", ca)
        self.expect_delivered(sub, "before", "--tls-ca-file", ca)
        self.expect_on(sub, self.group.failover())
        self.expect_delivered(sub, "after", "--tls-ca-file", ca)

    def test_a_wrong_password_of_the_sentinels_is_not_the_servers(self):
        ca = self.group.describe()["ca"]
        url = self.url.replace("?", "?sentinel_password=wrong&")
        done = run("pub", "chat", "x", "--url", url, "--tls-ca-file", ca, "--timeout", "5")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), r"sentinel 127\.0\.0\.1:\d+: .*WRONGPASS")


class Mistakes(RedisTest):
    def refused(self, said, url, *arguments, code=1):
        done = run("pub", "chat", "x", "--url", url, "--timeout", "5", *arguments)
        self.assertEqual((done.returncode, done.stdout), (code, b""))
        self.assertRegex(done.stderr.decode(), rf"\Afanwire: .*{said}")

    def test_a_plain_redis_is_no_sentinel(self):
        self.refused(rf"127.0.0.1:{self.redis.port} is a plain Redis server, not a sentinel",
                     self.redis.url.replace("redis://", "redis-sentinel://") + "?master=mymaster",
                     "--max-reconnect-attempts", "1")

    def test_nobody_is_there(self):
        self.refused('no sentinel says where the master "mymaster" is: .*127.0.0.1:1', NOBODY,
                     "--max-reconnect-attempts", "2")

    def test_a_group_needs_a_name(self):
        self.refused("master is not set", "redis-sentinel://127.0.0.1", code=2)

    def test_settings_of_groups_are_of_groups(self):
        for flags in (("--master", "m"), ("--nodes", "a:1"), ("--sentinel-password", "p")):
            self.refused("is not a redis-sentinel:// one", self.redis.url, *flags, code=2)
        for flags in (("--host", "h"), ("--port", "1"), ("--unix-path", "/x")):
            self.refused("found by its sentinels", NOBODY, *flags, code=2)


if __name__ == "__main__":
    support.main()
