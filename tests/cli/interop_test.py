"""Any Redis client talks with the fanwire command, byte for byte; a Redis that dies is survived."""

import os
import signal
import subprocess

import support
from support import RedisTest, run

PAYLOADS = (b"hello", b"", b"\0", b"\xff\xfe\x00\x80", b"two words \xe2\x82\xac", bytes(range(9)) + bytes(range(11, 256)))


class Interop(RedisTest):
    def test_redis_cli_publishes(self):
        sub = self.subscribe("chat", "--count", str(len(PAYLOADS)))
        for payload in PAYLOADS:
            self.assertEqual(self.redis.redis_cli("-x", "PUBLISH", "ws:chat", input=payload), b"1\n")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), list(PAYLOADS))

    def test_redis_cli_subscribes(self):
        listener = subprocess.Popen(["redis-cli", "-p", str(self.redis.port), "SUBSCRIBE", "ws:chat"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        for expected in (b"subscribe\n", b"ws:chat\n", b"1\n"):
            self.assertEqual(listener.stdout.readline(), expected)
        done = run("pub", "--url", self.redis.url, "chat", "-", input=b"\n".join(PAYLOADS) + b"\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        for payload in PAYLOADS:
            # redis-cli writes the three parts of a message raw, each with a newline behind.
            expected = b"message\nws:chat\n" + payload + b"\n"
            self.assertEqual(listener.stdout.read(len(expected)), expected)

    def test_namespace(self):
        for options, channel in (((), "ws:n"), (("--namespace", "app"), "app:n"), (("--namespace", ""), "n"),
                                 (("--namespace", "a*"), "a*:n")):
            with self.subTest(channel=channel):
                sub = self.start("sub", "--url", self.redis.url, *options, "--pattern", "[n]", "--count", "1")
                sub.wait_note("subscribed to")
                self.redis.redis_cli("PUBLISH", "abc:n", "not for it")
                self.assertEqual(self.redis.redis_cli("PUBLISH", channel, "for it"), b"1\n")
                self.assertEqual(sub.end(), 0)
                self.assertEqual(sub.rest(), [b"n\tfor it"])

    def test_client_name(self):
        self.subscribe("chat", "--client-name=shell-test")
        self.assertIn(b"name=shell-test", self.redis.redis_cli("CLIENT", "LIST"))

    def test_unix_socket(self):
        path = os.path.join(self.redis.directory, "redis.sock")
        redis = support.RedisServer("--unixsocket", path)
        self.addCleanup(redis.stop)
        done = run("sub", "--url", f"unix://{path}", "chat", "--stdin", "--count", "1", input=b"by socket\n")
        self.assertEqual((done.returncode, done.stdout), (0, b"by socket\n"), done.stderr)


class Outage(RedisTest):
    def test_redis_killed_and_started_again(self):
        sub = self.subscribe("chat", "--pattern", "room:*", "--reconnect-delay-ms=10", "--max-reconnect-delay-ms=100")
        self.publish("chat", "before")
        self.assertEqual(sub.line(), b"chat\tbefore")
        for round in range(2):
            self.redis.kill()
            sub.wait_note("lost ")
            self.redis.restart()
            sub.wait_note("subscribed to")
            sub.wait_note("subscribed to")
            self.publish("chat", f"after {round}")
            self.publish("room:1", f"again {round}")
            self.assertEqual(sub.line(), b"chat\tafter %d" % round)
            self.assertEqual(sub.line(), b"room:1\tagain %d" % round)
        self.assertEqual(sub.end(signal.SIGINT), 130)
        notes = "\n".join(sub.notes_seen)
        self.assertIn("fanwire: gap in chat: messages may be missing, the connection was down", notes)
        self.assertIn("fanwire: gap in room:*: ", notes)
        self.assertIn("fanwire: connected again", notes)

    def test_lines_of_an_outage_wait_for_the_server(self):
        pub = self.start("pub", "--url", self.redis.url, "--reconnect-delay-ms=10", "--max-reconnect-delay-ms=100",
                         "--publish-timeout-ms=60000", "chat", "-", stdin=subprocess.PIPE)
        sub = self.subscribe("chat", "--reconnect-delay-ms=10", "--max-reconnect-delay-ms=100")
        pub.process.stdin.write(b"before\n")
        pub.process.stdin.flush()
        self.assertEqual(sub.line(), b"before")
        self.redis.kill()
        sub.wait_note("lost ")
        self.redis.restart()
        sub.wait_note("subscribed to chat again")
        pub.process.stdin.write(b"after\n")
        pub.process.stdin.close()
        self.assertEqual(sub.line(), b"after")
        self.assertEqual(pub.end(), 0)

    def test_retry_waits_for_a_server_that_comes_later(self):
        self.redis.kill()
        sub = self.start("sub", "--url", self.redis.url, "--retry", "chat", "--count", "1", "--reconnect-delay-ms=10",
                         "--max-reconnect-delay-ms=100")
        sub.wait_note("trying again")
        self.redis.restart()
        sub.wait_note("subscribed to chat")
        self.publish("chat", "late")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"late"])

    def test_giving_up_after_max_reconnect_attempts(self):
        sub = self.subscribe("chat", "--max-reconnect-attempts=2", "--reconnect-delay-ms=10")
        self.redis.kill()
        self.assertEqual(sub.end(), 1)
        self.redis.restart()


support.main()
