"""fanwire sub: what it prints, and how it ends."""

import base64
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import support
from support import DEADLINE, RedisTest, run


class Printing(RedisTest):
    def test_one_channel_prints_the_payload_alone(self):
        sub = self.subscribe("chat", "--count", "2")
        self.publish("chat", "hello")
        self.publish("chat", "")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"hello", b""])

    def test_several_channels_print_the_channel_first(self):
        sub = self.subscribe("chat", "news", "--count", "2")
        self.publish("news", "rain")
        self.publish("chat", "hello")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"news\train", b"chat\thello"])

    def test_a_pattern_prints_the_channel_first(self):
        sub = self.subscribe("--pattern", "room:*", "--count", "2")
        self.publish("chat", "not for it")
        self.publish("room:1", "one")
        self.publish("room:2", "two")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"room:1\tone", b"room:2\ttwo"])

    def test_a_channel_and_a_pattern_print_a_message_once_each(self):
        sub = self.subscribe("room:1", "--pattern", "room:*", "--json", "--count", "2")
        self.publish("room:1", "one")
        self.assertEqual(sub.end(), 0)
        got = sorted((json.loads(line) for line in sub.rest()), key=lambda m: m["pattern"] or "")
        self.assertEqual(got, [{"channel": "room:1", "pattern": None, "payload": "one"},
                               {"channel": "room:1", "pattern": "room:*", "payload": "one"}])

    def test_messages_keep_their_order(self):
        sub = self.subscribe("order", "--count", "5000")
        lines = b"".join(b"%d\n" % i for i in range(5000))
        self.assertEqual(run("pub", "--url", self.redis.url, "order", "-", input=lines).returncode, 0)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"%d" % i for i in range(5000)])

    def test_each_message_is_flushed_at_once(self):
        sub = self.subscribe("chat")
        for text in ("one", "two"):
            self.publish("chat", text)
            self.assertEqual(sub.line(), text.encode())

    def test_quiet_says_nothing_but_errors(self):
        sub = self.start("sub", "--url", self.redis.url, "--quiet", "hush", "--count", "1")
        deadline = time.monotonic() + DEADLINE
        while self.publish("hush", "psst") == 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest_of_notes(), [])


class Json(RedisTest):
    def received(self, payload, channel=b"raw"):
        """What comes out when `payload` is published by a plain Redis client."""
        sub = self.subscribe("raw", "--pattern", "raw-*", "--json", "--count", "1")
        self.redis.redis_cli("-x", "PUBLISH", b"ws:" + channel, input=payload)
        self.assertEqual(sub.end(), 0)
        lines = sub.rest()
        self.assertEqual(len(lines), 1)
        return json.loads(lines[0])

    def test_text_with_controls_and_quotes(self):
        text = 'a "quoted" \\ line\nbreak \t \0 \x01 \x7f \u20ac \U0001f600 end'
        self.assertEqual(self.received(text.encode())["payload"], text)

    def test_bytes_that_are_not_utf8_come_as_base64(self):
        for payload in (b"\xff", b"ab\x80", bytes(range(256)), b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
            with self.subTest(payload=payload):
                got = self.received(payload)
                self.assertNotIn("payload", got)
                self.assertEqual(base64.b64decode(got["payload_base64"], validate=True), payload)

    def test_channel_that_is_not_utf8(self):
        got = self.received(b"x", channel=b"raw-\xfe\x01")
        self.assertEqual(base64.b64decode(got["channel_base64"]), b"raw-\xfe\x01")
        self.assertEqual(got["pattern"], "raw-*")
        self.assertEqual(got["payload"], "x")

    def test_a_large_payload(self):
        payload = os.urandom(1_000_000)
        self.assertEqual(base64.b64decode(self.received(payload)["payload_base64"]), payload)


class Ending(RedisTest):
    def test_sigint_and_sigterm_unsubscribe_and_leave(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                sub = self.subscribe("leaving")
                self.assertEqual(self.publish("leaving", "hello"), 1)
                self.assertEqual(sub.line(), b"hello")  # before the signal, which may overtake it
                self.assertEqual(sub.end(number), 128 + number)
                self.assertEqual(sub.rest(), [])

    def test_sigint_while_stdout_is_full_and_nobody_reads(self):
        process = subprocess.Popen([support.COMMAND, "sub", "--url", self.redis.url, "flood"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.clean_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        while b"subscribed to" not in process.stderr.readline():
            pass
        lines = b"x" * 999 + b"\n"
        self.assertEqual(run("pub", "--url", self.redis.url, "flood", "-", input=lines * 1000).returncode, 0)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=DEADLINE), 130)

    def test_timeout_without_count_is_no_failure(self):
        done = run("sub", "--url", self.redis.url, "silent", "--timeout", "2")
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_timeout_before_the_count_is_a_failure(self):
        done = run("sub", "--url", self.redis.url, "silent", "--timeout", "2", "--count", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"fanwire: the time limit passed after 0 of 3 messages\n", done.stderr)

    def test_timeout_without_a_server_is_a_failure(self):
        done = run("sub", "--retry", "--url", f"redis://127.0.0.1:{support.free_port()}", "chat", "--timeout", "0.2")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"fanwire: the time limit passed before Redis confirmed the subscription\n", done.stderr)

    def test_timeout_while_stdout_is_full_and_nobody_reads(self):
        many = (b"x" * 99 + b"\n") * 3000
        large = b"x" * 200_000 + b"\n"
        for text, arguments, code, note in ((many, (), 0, b" published, "),
                                            (many, ("--count", "3000"), 1, b"the time limit passed after "),
                                            (large, ("--count", "1"), 1, b"passed before stdout took all messages")):
            with self.subTest(arguments=arguments), tempfile.TemporaryFile() as lines:
                lines.write(text)
                lines.seek(0)
                process = subprocess.Popen([support.COMMAND, "sub", "--url", "memory://full", "full", "--stdin",
                                            "--timeout", "2", *arguments], stdin=lines, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, env=support.clean_environment())
                self.addCleanup(process.stdout.close)
                self.addCleanup(process.stderr.close)
                self.addCleanup(process.kill)
                self.assertEqual(process.wait(timeout=DEADLINE), code)
                self.assertIn(note, process.stderr.read())

    def test_messages_before_a_failure_are_printed(self):
        confirmation = b"*3\r\n$9\r\nsubscribe\r\n$7\r\nws:open\r\n:1\r\n"
        message = b"*3\r\n$7\r\nmessage\r\n$7\r\nws:open\r\n$5\r\nhello\r\n"

        def serve(link):
            got = b""
            with link:
                while data := link.recv(65536):
                    got += data
                    link.sendall(b"+OK\r\n" * data.count(b"SETNAME") + b"-ERR unknown command\r\n" * data.count(b"INFO") +
                                 b"+PONG\r\n" * data.count(b"PING"))
                    if b"ws:closed" in got and b"ws:open" in got:
                        # All at once, so that it meets them together.
                        link.sendall(confirmation + message * 100 + b"-NOPERM not for you\r\n")
                        got = b""

        def accept(listener):
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(link,), daemon=True).start()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=accept, args=(listener,), daemon=True).start()
            url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
            done = run("sub", "--url", url, "open", "--pattern", "closed*")
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"NOPERM", done.stderr)
            self.assertEqual(done.stdout, b"open\thello\n" * 100)

    def test_reader_that_leaves_ends_it_quietly(self):
        sub = subprocess.Popen([support.COMMAND, "sub", "--url", self.redis.url, "--quiet", "pipe"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=support.clean_environment())
        self.addCleanup(sub.kill)
        head = subprocess.Popen(["head", "-1"], stdin=sub.stdout, stdout=subprocess.PIPE)
        sub.stdout.close()
        deadline = time.monotonic() + DEADLINE
        while self.publish("pipe", "first") == 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(head.communicate(timeout=DEADLINE)[0], b"first\n")
        # No further message is needed for it to notice.
        self.assertEqual(sub.wait(timeout=DEADLINE), 0)
        self.assertEqual(sub.stderr.read(), b"")
        sub.stderr.close()

    def test_disk_full_is_an_error(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.Popen([support.COMMAND, "sub", "--url", self.redis.url, "--quiet", "full"],
                                       stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                                       env=support.clean_environment())
        self.addCleanup(process.kill)
        deadline = time.monotonic() + DEADLINE
        while self.publish("full", "x") == 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(process.wait(timeout=DEADLINE), 1)
        self.assertEqual(process.stderr.read(), b"fanwire: cannot write to stdout: No space left on device\n")
        process.stderr.close()

    def test_closed_stdout_is_an_error_and_takes_no_socket(self):
        done = subprocess.run(["sh", "-c", '"$0" info >&-', support.COMMAND], capture_output=True, timeout=DEADLINE,
                              env=support.clean_environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"fanwire: cannot write to stdout", done.stderr)


class BothWays(RedisTest):
    def test_stdin_is_published_to_the_channel(self):
        done = run("sub", "--url", self.redis.url, "both", "--stdin", "--count", "3", input=b"one\ntwo\nthree\n")
        self.assertEqual((done.returncode, done.stdout), (0, b"one\ntwo\nthree\n"))
        self.assertIn(b"3 published, 0 failed", done.stderr)

    def test_in_memory_without_a_server(self):
        lines = b"".join(b"%d\n" % i for i in range(1000))
        done = run("sub", "--url", "memory://cli", "both", "--stdin", "--count", "1000", input=lines)
        self.assertEqual((done.returncode, done.stdout), (0, lines), done.stderr)

    def test_lines_go_on_after_a_reconnect(self):
        sub = self.subscribe("both", "--stdin", stdin=subprocess.PIPE)

        def say(text):
            sub.process.stdin.write(text + b"\n")
            sub.process.stdin.flush()
            self.assertEqual(sub.line(), text)

        say(b"before")
        for text in (b"after the first", b"after the second"):
            self.redis.kill()
            sub.wait_note("lost both")
            self.redis.restart()
            sub.wait_note("subscribed to both again")
            say(text)
        sub.process.stdin.close()
        self.assertEqual(sub.end(signal.SIGINT), 130)
        sub.wait_note("3 published, 0 failed, 3 receivers")

    def test_lines_left_when_it_ends_are_no_failures(self):
        lines = b"".join(b"%d\n" % i for i in range(50_000))
        done = run("sub", "--url", "memory://cli", "both", "--stdin", "--count", "3", input=lines)
        self.assertEqual((done.returncode, done.stdout), (0, b"0\n1\n2\n"), done.stderr)
        self.assertRegex(done.stderr, rb"fanwire: \d+ published, 0 failed, \d+ receivers\n\Z")
        self.assertNotIn(b"line ", done.stderr)


support.main()
