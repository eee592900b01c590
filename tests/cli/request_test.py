"""fanwire request: the replies of others, written by hand as core/DESIGN.md has the frame."""

import signal
import socket
import struct
import threading
import unittest

import support
from support import RedisTest, run

REQUEST = b"\0fwr\1\1"
REPLY = b"\0fwr\1\2"


class Responder:
    """Answers each request on a channel of Redis by `answer(payload)`: a list of replies. No fanwire in it."""

    def __init__(self, port, channel, answer):
        self.channel = channel
        self.answer = answer
        self.links = [socket.create_connection(("127.0.0.1", port), timeout=support.DEADLINE) for _ in range(2)]
        self.incoming, self.outgoing = (link.makefile("rwb") for link in self.links)
        self.send(self.incoming, b"SUBSCRIBE", channel)
        self.reply(self.incoming)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def send(self, stream, *words):
        stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        stream.flush()

    def reply(self, stream):
        line = stream.readline().rstrip(b"\r\n")
        if line[:1] == b"*":
            return [self.reply(stream) for _ in range(int(line[1:]))]
        if line[:1] == b"$":
            return stream.read(int(line[1:]) + 2)[:-2]
        return line[1:]

    def run(self):
        try:
            while True:
                payload = self.reply(self.incoming)[2]
                assert payload.startswith(REQUEST)
                prefix_size, = struct.unpack(">H", payload[6:8])
                identity, number = payload[8:24], payload[24:32]
                channel = self.channel[:prefix_size] + b"__fanwire:reply:" + identity.hex().encode()
                for answer in self.answer(payload[32:]):
                    self.send(self.outgoing, b"PUBLISH", channel, REPLY + number + answer)
                    self.reply(self.outgoing)
        except (OSError, ValueError, IndexError):
            pass

    def close(self):
        for link in self.links:
            link.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for stream in (self.incoming, self.outgoing, *self.links):
            stream.close()


class Request(RedisTest):
    def respond(self, channel, answer):
        responder = Responder(self.redis.port, b"ws:" + channel, answer)
        self.addCleanup(responder.close)

    def request(self, *arguments):
        return run("request", "--url", self.redis.url, *arguments)

    def test_all_who_received_it_answer(self):
        self.respond(b"all", lambda payload: [b"a " + payload])
        self.respond(b"all", lambda payload: [b"b " + payload])
        done = self.request("all", "hello")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()), [b"a hello", b"b hello"])
        self.assertEqual(done.stderr, b"fanwire: 2 replies, 0 missing\n")

    def test_it_ends_with_the_last_reply_that_is_expected(self):
        self.respond(b"some", lambda payload: [b"1", b"2", b"3"])
        done = self.request("some", "x", "--expect", "3", "--quiet")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"1\n2\n3\n", b""))

    def test_missing_replies_are_an_exit_code(self):
        self.respond(b"part", lambda payload: [b"only one"])
        self.subscribe("part")
        done = self.request("part", "x", "--timeout", "0.5", "--quiet")
        self.assertEqual((done.returncode, done.stdout), (1, b"only one\n"))
        self.assertRegex(done.stderr, rb"\Afanwire: 1 reply, 1 missing: [^\n]+\n\Z")

    def test_nobody_is_known_at_once(self):
        done = self.request("nobody", "x", "--expect", "2", "--timeout", "600")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertRegex(done.stderr, rb"0 replies, 2 missing: .*nobody")
        done = self.request("nobody", "x", "--timeout", "600")
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_replies_are_printed_as_they_come(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def answer(payload):
            yield b"first"
            go_on.wait(support.DEADLINE)
            yield b"second"

        self.respond(b"slow", answer)
        running = self.start("request", "--url", self.redis.url, "slow", "x", "--expect", "2", "--timeout", "600")
        self.assertEqual(running.line(), b"first")
        go_on.set()
        self.assertEqual(running.line(), b"second")
        self.assertEqual(running.end(), 0)

    def test_any_bytes(self):
        self.respond(b"bytes", lambda payload: [payload, b"\xff\n"])
        done = self.request("bytes", "--json", "--expect", "2", "--", "--help")
        self.assertEqual(done.stdout, b'{"payload":"--help"}\n{"payload_base64":"/wo="}\n', done.stderr)

    def test_a_signal_ends_it(self):
        self.respond(b"silent", lambda payload: [b"one"])
        running = self.start("request", "--url", self.redis.url, "silent", "x", "--expect", "2", "--timeout", "600")
        self.assertEqual(running.line(), b"one")
        self.assertEqual(running.end(signal.SIGTERM), 143)

    def test_subscribers_of_fanwire_see_the_bare_payload(self):
        sub = self.subscribe("bare", "--json", "--count", "1")
        self.assertEqual(self.request("bare", "hello", "--timeout", "0.2").returncode, 1)
        self.assertEqual(sub.end(), 0)
        self.assertEqual(sub.rest(), [b'{"channel":"bare","pattern":null,"payload":"hello"}'])

    def test_what_cannot_be(self):
        for arguments, code, word in ((["c"], 2, b"PAYLOAD"), (["c", "d", "e"], 2, b"3 arguments"), (["", "x"], 2, b"channel"),
                                      (["c", "x", "--expect", "0"], 2, b"--expect"),
                                      (["c", "too large", "--max-message-bytes", "2"], 1, b"max_message_bytes")):
            with self.subTest(arguments=arguments):
                done = self.request(*arguments)
                self.assertEqual((done.returncode, done.stdout), (code, b""))
                self.assertRegex(done.stderr, rb"\Afanwire: [^\n]*" + word + rb"[^\n]*\n\Z")


if __name__ == "__main__":
    support.main()
