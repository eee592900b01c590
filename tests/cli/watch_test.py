"""fanwire info --watch, --check and --metrics: whether messages come through, as the shell sees it."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import support
from support import DEADLINE, RedisServer, RedisTest, run

FAST = ("--max-reconnect-delay-ms", "50", "--reconnect-delay-ms", "20")
RATES = ("published", "received", "delivered", "dropped", "gaps", "bytes_in", "bytes_out")


def words_of(line):
    """A line of --watch as a dict."""
    head, text = line.decode().split(" text=", 1)
    return {**dict(word.split("=") for word in head.split()), "text": json.loads(text)}


def wait_for(watch, condition):
    """The first line for which the condition holds; there is one for each interval."""
    deadline = time.monotonic() + DEADLINE
    while True:
        line = watch.line()
        assert line is not None, f"it ended; it said {watch.rest_of_notes()}"
        words = words_of(line)
        if condition(words):
            return words
        assert time.monotonic() < deadline, f"it did not happen; last {words}"


class Watch(RedisTest):
    def watch(self, *arguments, redis=None):
        return self.start("info", "--watch", "0.05", "--url", (redis or self.redis).url, *FAST, *arguments)

    def own_redis(self, *arguments):
        redis = RedisServer(*arguments)
        self.addCleanup(redis.stop)
        return redis

    def test_a_line_for_each_interval(self):
        watch = self.watch()
        first = words_of(watch.line())
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual({first[rate + "_per_s"] for rate in RATES}, {"-"})
        later = wait_for(watch, lambda words: words["verdict"] == "ok")
        self.assertEqual((later["publish_link"], later["subscribe_link"]), ("up", "up"))
        self.assertGreater(int(later["probe_us"]), 0)
        for rate in RATES:
            self.assertGreaterEqual(float(later[rate + "_per_s"]), 0)
        self.assertEqual(set(first), set(later))
        self.assertEqual(watch.end(signal.SIGINT), 0)
        self.assertEqual(watch.rest_of_notes(), [])

    def test_traffic(self):
        watch = self.watch("--channel", "chat", "--pattern", "ch*")
        wait_for(watch, lambda words: words["confirmed"] == "2")
        self.assertEqual(self.publish("chat", "hello"), 2)
        words = wait_for(watch, lambda words: words["delivered_per_s"] not in ("-", "0.0"))
        self.assertGreater(float(words["received_per_s"]), 0)
        self.assertEqual((words["dropped_per_s"], words["subscriptions"], words["inbox_queued"]), ("0.0", "2", "0"))
        self.assertGreater(int(words["delivery_p50_us"]), 0)
        self.assertGreaterEqual(int(words["delivery_p99_us"]), int(words["delivery_p50_us"]))
        wait_for(watch, lambda words: words["delivery_p50_us"] == "-")  # of the interval, not of all
        self.assertEqual(watch.end(signal.SIGINT), 0)

    def test_it_survives_the_server(self):
        redis = self.own_redis()
        watch = self.watch("--channel", "chat", redis=redis)
        wait_for(watch, lambda words: words["verdict"] == "ok" and words["confirmed"] == "1")
        redis.kill()
        words = wait_for(watch, lambda words: words["verdict"] == "down" and words["subscribe_link"] == "down")
        self.assertEqual(words["confirmed"], "0")
        self.assertIn("connect", words["text"])
        redis.restart()
        words = wait_for(watch, lambda words: words["verdict"] == "ok")
        self.assertEqual(words["confirmed"], "1")
        self.assertEqual(watch.end(signal.SIGINT), 0)
        self.assertEqual(watch.rest_of_notes(), [])

    def test_it_begins_without_a_server(self):
        redis = self.own_redis()
        redis.kill()
        watch = self.watch(redis=redis)
        words = words_of(watch.line())
        self.assertEqual((words["verdict"], words["probe_us"]), ("down", "-"))
        self.assertIn("refused", words["text"])
        redis.restart()
        wait_for(watch, lambda words: words["verdict"] == "ok")
        self.assertEqual(watch.end(signal.SIGINT), 0)

    def test_a_refused_channel(self):
        redis = self.own_redis()
        rules = ("on", ">pw", "+@all", "resetchannels", "&ws:open", "&__fanwire:probe:*")
        self.assertEqual(redis.redis_cli("ACL", "SETUSER", "alice", *rules).strip(), b"OK")
        login = ("--username", "alice", "--password", "pw")
        watch = self.watch("--channel", "open", "--channel", "secret", *login, redis=redis)
        words = wait_for(watch, lambda words: words["refused"] == "1")
        self.assertEqual((words["verdict"], words["subscriptions"]), ("degraded", "2"))
        self.assertEqual(watch.end(signal.SIGINT), 0)
        bad = run("info", "--check", "--json", "--channel", "secret", "--url", redis.url, *login)
        self.assertEqual(bad.returncode, 1)
        self.assertRegex(bad.stderr, rb"\Afanwire: [^\n]*refused[^\n]*\n\Z")
        check = json.loads(bad.stdout)["check"]
        self.assertTrue(check["connected"])
        self.assertEqual((check["health"]["verdict"], check["health"]["status"]), ("degraded", "NO_PERMISSION"))
        good = run("info", "--check", "--channel", "open", "--url", redis.url, *login)
        self.assertEqual((good.returncode, good.stderr), (0, b""))

    def test_count_and_timeout_end_it(self):
        done = run("info", "--watch", "0.01", "--count", "3", "--url", self.redis.url)
        self.assertEqual((done.returncode, done.stderr, done.stdout.count(b"\n")), (0, b"", 3))
        for arguments in (("--watch",), ("--watch", "100")):
            done = run("info", *arguments, "--timeout", "0.3", "--url", self.redis.url)
            self.assertEqual((done.returncode, done.stderr, done.stdout.count(b"\n")), (0, b"", 1))

    def test_json(self):
        watch = self.start("info", "--watch=0.01", "--json", "--url", self.redis.url)
        deadline = time.monotonic() + DEADLINE
        while (metrics := json.loads(watch.line()))["health"]["verdict"] != "ok":
            self.assertLess(time.monotonic(), deadline, metrics)
        self.assertEqual(metrics["connected"], 1)
        self.assertRegex(metrics["time"], r"Z$")
        self.assertIn("p99_us", metrics["delivery_latency"])
        self.assertEqual(watch.end(signal.SIGINT), 0)

    def test_memory(self):
        done = run("info", "--watch=0.01", "--count", "1", "--url", "memory://watch")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(words_of(done.stdout.rstrip(b"\n"))["verdict"], "ok")

    def test_sigterm_ends_it_as_every_command(self):
        watch = self.watch()
        watch.line()
        self.assertEqual(watch.end(signal.SIGTERM), 143)

    def test_a_reader_that_leaves_ends_it(self):
        reading_end, writing_end = os.pipe()
        with os.fdopen(writing_end, "wb") as stdout:
            watch = subprocess.Popen([support.COMMAND, "info", "--watch", "100", "--url", self.redis.url],
                                     stdout=stdout, stderr=subprocess.PIPE, env=support.clean_environment())
        with watch, os.fdopen(reading_end, "rb") as lines:
            self.assertIn(b"verdict=", lines.readline())
            lines.close()
            self.assertEqual(watch.communicate(timeout=DEADLINE)[1], b"")
        self.assertEqual(watch.returncode, 0)

    def test_a_terminal_is_drawn_over(self):
        columns = 44
        main, terminal = pty.openpty()
        self.addCleanup(os.close, main)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        watch = subprocess.Popen([support.COMMAND, "info", "--watch", "0.05", "--url", self.redis.url],
                                 stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.PIPE,
                                 env=support.clean_environment())
        os.close(terminal)
        with watch:
            shown = b""
            while shown.count(b"\x1b[J") < 3:
                shown += os.read(main, 65536)
            watch.send_signal(signal.SIGINT)
            self.assertEqual(watch.communicate(timeout=DEADLINE)[1], b"")
        self.assertEqual(watch.returncode, 0)
        first, second = shown.decode().split("\x1b[J")[:2]
        lines = first.split("\x1b[K\r\n")[:-1]
        self.assertTrue(second.startswith(f"\x1b[{len(lines)}A"), second[:20])
        for line in lines:
            self.assertLessEqual(len(line), columns, line)
            self.assertNotIn("\x1b", line)
        for row in ("health         ", "links          publish up", "published", "received", "delivered", "dropped",
                    "gaps", "bytes in", "subscriptions  0 wanted", "queues         0 publishes", "latency        publish"):
            self.assertTrue(any(line.startswith(row) for line in lines), row)


class Metrics(RedisTest):
    def test_json(self):
        done = run("info", "--metrics", "json", "--channel", "chat", "--url", self.redis.url)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        metrics = json.loads(done.stdout)
        self.assertEqual((metrics["health"]["verdict"], metrics["probes"]), ("ok", 1))
        self.assertEqual(metrics["subscriptions_confirmed"], 1)

    def test_prometheus(self):
        done = run("info", "--metrics", "prometheus", "--client-name", "sh", "--url", self.redis.url)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        text = done.stdout.decode()
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) fanwire_\w+ .+|fanwire_\w+\{client="sh",namespace="ws".*\} \S+)$')
        self.assertIn('fanwire_health{client="sh",namespace="ws",verdict="ok"} 1\n', text)
        self.assertEqual(len(re.findall("# TYPE fanwire_connected gauge", text)), 1)

    def test_without_a_server(self):
        redis = RedisServer()
        redis.stop()
        for form in "json", "prometheus":
            done = run("info", "--metrics", form, "--url", redis.url)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, rb"\Afanwire: [^\n]*refused[^\n]*\n\Z")
            self.assertIn(b"down", done.stdout)

    def test_check_tells_the_health(self):
        done = run("info", "--check", "--url", self.redis.url)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertRegex(done.stdout, rb"(?m)^health: ok: .*probe took \d+ us$")
        done = run("info", "--check", "--json", "--url", self.redis.url, "--probe-interval-ms", "0")
        health = json.loads(done.stdout)["check"]["health"]
        self.assertEqual((health["verdict"], health["status"], health["probe_us"]), ("ok", "OK", None))

    def test_a_server_that_stands_still(self):
        redis = RedisServer()
        self.addCleanup(redis.stop)
        os.kill(redis.process.pid, signal.SIGSTOP)
        done = run("info", "--check", "--timeout", "0.3", "--url", redis.url)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"time limit", done.stderr)


support.main()
