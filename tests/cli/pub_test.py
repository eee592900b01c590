"""fanwire pub: one message, and the lines of stdin."""

import os
import signal
import subprocess

import support
from support import RedisTest, run


class OneMessage(RedisTest):
    def test_prints_the_number_of_receivers(self):
        self.assertEqual(self.publish("nobody", "hello"), 0)
        self.subscribe("chat")
        self.subscribe("chat")
        self.assertEqual(self.publish("chat", "hello"), 2)

    def test_message_that_looks_like_an_option(self):
        sub = self.subscribe("chat", "--count", "3")
        for message in ("--help", "-x", "-"):
            done = run("pub", "--url", self.redis.url, "chat", "--", message)
            self.assertEqual((done.returncode, done.stdout), (0, b"1\n"))
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"--help", b"-x", b"-"])

    def test_empty_message(self):
        sub = self.subscribe("chat", "--json", "--count", "1")
        self.assertEqual(self.publish("chat", ""), 1)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b'{"channel":"chat","pattern":null,"payload":""}'])

    def test_too_large_a_message(self):
        done = run("pub", "--url", self.redis.url, "--max-message-bytes", "10", "chat", "eleven byte")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertRegex(done.stderr, rb"^fanwire: .*max_message_bytes.*\n$")

    def test_stdout_that_is_closed(self):
        done = subprocess.run(["sh", "-c", '"$0" pub --url "$1" chat hello >&-', support.COMMAND, self.redis.url],
                              capture_output=True, timeout=support.DEADLINE, env=support.clean_environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write to stdout", done.stderr)


class Lines(RedisTest):
    def pub(self, data, *arguments, channel="lines"):
        return run("pub", "--url", self.redis.url, *arguments, channel, "-", input=data)

    def test_ten_thousand_lines(self):
        lines = [b"line %d \xff\x00" % i for i in range(10_000)]
        sub = self.subscribe("lines", "--count", "10000")
        done = self.pub(b"\n".join(lines) + b"\n")
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.stderr)
        self.assertEqual(done.stderr, b"fanwire: 10000 published, 0 failed, 10000 receivers\n")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), lines)

    def test_last_line_without_newline_and_empty_lines_count(self):
        sub = self.subscribe("lines", "--count", "3")
        self.assertEqual(self.pub(b"one\n\nlast").returncode, 0)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"one", b"", b"last"])

    def test_no_lines(self):
        done = self.pub(b"")
        self.assertEqual((done.returncode, done.stderr), (0, b"fanwire: 0 published, 0 failed, 0 receivers\n"))

    def test_quiet(self):
        done = self.pub(b"one\n", "--quiet")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_lines_go_out_before_stdin_ends(self):
        sub = self.subscribe("live")
        pub = self.start("pub", "--url", self.redis.url, "live", "-", stdin=subprocess.PIPE)
        for text in (b"one", b"two"):
            pub.process.stdin.write(text + b"\n")
            pub.process.stdin.flush()
            self.assertEqual(sub.line(), text)
        pub.process.stdin.close()
        self.assertEqual(pub.end(), 0)

    def test_lines_that_fail_are_named_and_counted(self):
        sub = self.subscribe("lines", "--count", "2")
        done = self.pub(b"short\n" + b"x" * 200_000 + b"\nagain\n", "--max-message-bytes", "100")
        self.assertEqual(done.returncode, 1)
        notes = done.stderr.decode().splitlines()
        self.assertEqual(len(notes), 2)
        self.assertRegex(notes[0], "^fanwire: line 2: .*max_message_bytes")
        self.assertEqual(notes[1], "fanwire: 2 published, 1 failed, 2 receivers")
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b"short", b"again"])

    def test_many_failures_are_only_counted(self):
        done = self.pub(b"too long\n" * 500, "--max-message-bytes", "1")
        notes = done.stderr.decode().splitlines()
        self.assertEqual(done.returncode, 1)
        self.assertEqual(notes[-1], "fanwire: 0 published, 500 failed, 0 receivers")
        self.assertLess(len(notes), 20)

    def peak_memory(self, data, *arguments):
        """Feeds it pieces of `data` and returns its notes, its exit code and the most memory it had, in bytes."""
        process = subprocess.Popen([support.COMMAND, "pub", "--url", self.redis.url, *arguments, "lines", "-"],
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=support.clean_environment())
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        with process.stdin:
            for piece in data:
                process.stdin.write(piece)
        notes = process.stderr.read().decode().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return notes, process.returncode, usage.ru_maxrss * 1024

    def test_a_line_without_end_takes_no_memory_and_its_size_is_told(self):
        _, _, usual = self.peak_memory([b"one\n"])
        piece = bytes(1 << 20)
        notes, code, peak = self.peak_memory([b"one\n"] + [piece] * 256 + [b"\ntwo\n", b"12345", b"6789"],
                                             "--max-message-bytes", "1MiB")
        self.assertEqual(code, 1)
        self.assertEqual(len(notes), 2, notes)
        self.assertRegex(notes[0], "^fanwire: line 2: .*the message has 268435456 bytes, max_message_bytes is 1048576$")
        self.assertEqual(notes[1], "fanwire: 3 published, 1 failed, 0 receivers")
        self.assertLess(peak, usual + 16 * len(piece))

    def test_an_overlong_last_line_without_newline(self):
        done = self.pub(b"0123456789\n0123456789x\n" + b"y" * 12, "--max-message-bytes", "10")
        notes = done.stderr.decode().splitlines()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(notes[0], "^fanwire: line 2: .*the message has 11 bytes, max_message_bytes is 10$")
        self.assertRegex(notes[1], "^fanwire: line 3: .*the message has 12 bytes, max_message_bytes is 10$")
        self.assertEqual(notes[2], "fanwire: 1 published, 2 failed, 0 receivers")

    def test_stdin_that_cannot_be_read_is_an_error(self):
        for redirection in ("<&-", "< /", "0> /dev/null"):
            for command in ('"$0" pub --url "$1" chat -', '"$0" sub --url "$1" chat --stdin'):
                with self.subTest(command=command, stdin=redirection):
                    done = subprocess.run(["sh", "-c", f"{command} {redirection}", support.COMMAND, self.redis.url],
                                          capture_output=True, timeout=support.DEADLINE,
                                          env=support.clean_environment())
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn(b"fanwire: cannot read stdin: ", done.stderr)

    def test_signals_end_it_after_what_was_read(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                sub = self.subscribe("interrupted", "--count", "1")
                pub = self.start("pub", "--url", self.redis.url, "interrupted", "-", stdin=subprocess.PIPE)
                pub.process.stdin.write(b"one\nhalf a li")
                pub.process.stdin.flush()
                self.assertEqual(sub.line(), b"one")
                self.assertEqual(pub.end(number), 128 + number)
                pub.wait_note("1 published, 0 failed")

    def test_timeout(self):
        pub = self.start("pub", "--url", self.redis.url, "--timeout", "0.2", "slow", "-", stdin=subprocess.PIPE)
        self.assertEqual(pub.end(), 1)
        pub.wait_note("fanwire: the time limit passed")

    def endless(self):
        """A pipe that never runs out of lines."""
        lines = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
        self.addCleanup(lines.wait)
        self.addCleanup(lines.kill)
        self.addCleanup(lines.stdout.close)
        return lines.stdout

    def test_lines_left_when_it_ends_are_no_failures(self):
        pub = self.start("pub", "--url", self.redis.url, "--timeout", "0.5", "endless", "-", stdin=self.endless())
        self.assertEqual(pub.end(), 1)
        notes = [note.decode() for note in pub.rest_of_notes()]
        self.assertEqual(len(notes), 2, notes)
        self.assertRegex(notes[0], r"^fanwire: \d+ published, 0 failed, 0 receivers$")
        self.assertEqual(notes[1], "fanwire: the time limit passed")

    def test_more_than_the_queue_holds_is_backpressure_not_failure(self):
        lines = b"".join(b"%06d" % i + b"x" * 994 + b"\n" for i in range(3000))
        done = self.pub(lines, "--publish-buffer-bytes", "20000", "--offline-bytes", "20000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"3000 published, 0 failed", done.stderr)


support.main()
