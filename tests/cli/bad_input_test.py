"""Whatever is wrong is said in one line that names it, with the exit code that --help promises."""

import socket
import threading
import unittest

import support
from support import RedisServer, run

ANY_COMMAND = (("sub", "chat"), ("pub", "chat", "hello"))


class BadInput(unittest.TestCase):
    def assert_fails(self, done, code, *words):
        text = done.stderr.decode()
        self.assertEqual(done.returncode, code, text)
        self.assertEqual(done.stdout, b"")
        self.assertRegex(text, r"\Afanwire: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, text)


class Usage(BadInput):
    def test_nothing_at_all(self):
        self.assert_fails(run(), 2, "sub", "pub", "request", "numsub", "info", "--help")

    def test_unknown_command(self):
        self.assert_fails(run("publish", "chat", "x"), 2, "publish", "--help")

    def test_option_before_the_command(self):
        self.assert_fails(run("--json", "sub", "chat"), 2, "--json")

    def test_unknown_options(self):
        for command in ANY_COMMAND + (("info",),):
            for option in ("--colour", "--colour=red", "-x", "--no-such", "---"):
                with self.subTest(command=command, option=option):
                    self.assert_fails(run(*command, option), 2, option.split("=")[0], "--help")

    def test_missing_operands(self):
        self.assert_fails(run("sub"), 2, "CHANNEL")
        self.assert_fails(run("pub"), 2, "CHANNEL")
        self.assert_fails(run("pub", "chat"), 2, "MESSAGE")
        self.assert_fails(run("pub", "chat", "two", "words"), 2, "3 arguments")
        self.assert_fails(run("info", "chat"), 2, "no arguments", "info --help")

    def test_missing_and_superfluous_values(self):
        self.assert_fails(run("sub", "chat", "--count"), 2, "--count")
        self.assert_fails(run("sub", "chat", "--url"), 2, "--url")
        self.assert_fails(run("sub", "chat", "--json=yes"), 2, "--json")
        self.assert_fails(run("sub", "chat", "--set", "port"), 2, "--set")
        self.assert_fails(run("info", "--settings", "html"), 2, "html")
        for words, said in ((("--watch", "--check"), "only one"), (("--watch", "--metrics", "json"), "only one"),
                            (("--metrics", "xml"), "xml"), (("--metrics", "json", "--json"), "--metrics json"),
                            (("--watch=",), "needs a value"), (("--watch=soon",), "seconds"), (("--watch", "0"), "seconds"),
                            (("--count", "2"), "--watch"), (("--channel", "chat"), "--watch"),
                            (("--pattern", "*"), "--check"), (("--watch", "--count", "0"), "--count"),
                            (("--watch", "--channel", ""), "channel")):
            with self.subTest(words=words):
                self.assert_fails(run("info", *words), 2, said)
        self.assert_fails(run("sub", "--stdin", "one", "two"), 2, "--stdin")

    def test_bad_numbers(self):
        for value in ("0", "-1", "x", "1x", "", " 1", "99999999999999999999999"):
            with self.subTest(count=value):
                self.assert_fails(run("sub", "chat", f"--count={value}"), 2, "--count")
        for value in ("0", "-1", "x", "1e3", "", "1.2.3", "."):
            with self.subTest(timeout=value):
                self.assert_fails(run("sub", "chat", f"--timeout={value}"), 2, "--timeout")


class Settings(BadInput):
    def test_urls(self):
        for url in ("", "chat", "http://localhost", "redis://", "redis://localhost:0", "redis://localhost:70000",
                    "redis://localhost:x", "redis://localhost?no_such=1", "redis://localhost?port=0"):
            for command in ANY_COMMAND + (("info",),):
                with self.subTest(url=url, command=command):
                    if url == "redis://":
                        continue  # whether the host may be left out is for the URL's own tests
                    self.assert_fails(run(*command, "--url", url), 2)

    def test_the_setting_is_named(self):
        self.assert_fails(run("sub", "chat", "--set", "no_such=1"), 2, "no_such")
        self.assert_fails(run("sub", "chat", "--port", "0"), 2, "port")
        self.assert_fails(run("sub", "chat", "--port", "70000"), 2, "port")
        self.assert_fails(run("sub", "chat", "--connect-timeout-ms", "soon"), 2, "connect_timeout_ms")
        self.assert_fails(run("sub", "chat", "--overflow=sometimes"), 2, "overflow")
        self.assert_fails(run("sub", "chat", "--set", "db=x"), 2, "db")
        self.assert_fails(run("sub", "chat", env={"FANWIRE_DB": "x"}), 2, "FANWIRE_DB")
        self.assert_fails(run("sub", "chat", env={"REDIS_URL": "nonsense"}), 2)

    def test_passwords_stay_secret(self):
        for url in ("redis://user:hunter2@localhost:0", "redis://user:hunter2@localhost?no_such=1",
                    "http://user:hunter2@localhost", "redis://:hunter2@127.0.0.1:1"):
            with self.subTest(url=url):
                done = run("pub", "--url", url, "chat", "hello")
                self.assertNotEqual(done.returncode, 0)
                self.assertNotIn(b"hunter2", done.stderr + done.stdout)

    def test_passwords_in_the_wrong_place_stay_secret(self):
        url = "redis://user:hunter2@localhost"
        for command in ((url,), (f"-url={url}",), (f"--{url}",), ("info", url), ("sub", "chat", f"-url={url}"),
                        ("sub", "chat", f"-{url}"), ("sub", "chat", f"--{url}"), ("sub", "chat", f"--uri={url}"),
                        ("sub", "chat", "--password:hunter2"), ("info", "--set", "password:hunter2"),
                        ("info", "--set", url), ("info", "--set", url + "?db=1"), ("sub", "chat", f"--json={url}")):
            with self.subTest(command=command):
                done = run(*command)
                self.assert_fails(done, 2)
                self.assertNotIn(b"hunter2", done.stderr)

    def test_channels(self):
        for command in (("sub", ""), ("sub", "x" * 1025), ("sub", "--pattern", ""), ("pub", "", "hello"),
                        ("pub", "", "-"), ("pub", "x" * 1025, "hello"),
                        ("sub", "--channel-rules", "strict", "white space")):
            with self.subTest(command=command):
                done = run(*command, "--url", "memory://bad", input=b"one\ntwo\n")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertRegex(done.stderr, rb"(?m)^fanwire: .*(channel|pattern)")


class Servers(BadInput):
    def test_no_server(self):
        port = support.free_port()
        for command in ANY_COMMAND + (("pub", "chat", "-"),):
            with self.subTest(command=command):
                self.assert_fails(run(*command, "--url", f"redis://127.0.0.1:{port}"), 1, str(port))

    def test_unknown_host(self):
        for command in ANY_COMMAND:
            with self.subTest(command=command):
                self.assert_fails(run(*command, "--url", "redis://no-such-host.invalid"), 1, "no-such-host.invalid")

    def test_server_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}?connect_timeout_ms=200"
            for command in ANY_COMMAND:
                with self.subTest(command=command):
                    self.assert_fails(run(*command, "--url", url), 1)

    def test_server_that_speaks_http(self):
        def answer(listener):
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.recv(4096)
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=answer, args=(listener,), daemon=True).start()
            for command in ANY_COMMAND:
                with self.subTest(command=command):
                    url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
                    self.assert_fails(run(*command, "--url", url), 1, "HTTP")

    def test_wrong_and_missing_password(self):
        redis = RedisServer("--requirepass", "right")
        self.addCleanup(redis.stop)
        for command in ANY_COMMAND:
            with self.subTest(command=command):
                self.assert_fails(run(*command, "--url", redis.url), 1, "NOAUTH")
                wrong = run(*command, "--url", redis.url, "--password", "not-the-right-one")
                self.assert_fails(wrong, 1, "WRONGPASS")
                self.assertNotIn(b"not-the-right-one", wrong.stderr)
        self.assertEqual(run("pub", "chat", "hello", "--url", redis.url, "--password", "right").stdout, b"0\n")

    def test_no_permission(self):
        redis = RedisServer("--user", "default", "on", "nopass", "~*", "resetchannels", "&ws:open*", "+@all")
        self.addCleanup(redis.stop)
        self.assert_fails(run("pub", "secret", "hello", "--url", redis.url), 1, "NOPERM")
        done = run("sub", "secret", "--quiet", "--url", redis.url)
        self.assert_fails(done, 1, "NOPERM")
        self.assertEqual(run("pub", "open", "hello", "--url", redis.url).stdout, b"0\n")


support.main()
