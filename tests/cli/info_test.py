"""fanwire info, --version and --help."""

import json
import os
import re
import subprocess
import unittest

import support
from support import RedisServer, run


def settings(*arguments, env=None):
    done = run("info", "--json", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)["settings"]}


class Info(unittest.TestCase):
    def test_text(self):
        done = run("info")
        text = done.stdout.decode()
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertRegex(text, r"\Afanwire \d+\.\d+\.\d+, .*hiredis \d+\.\d+.*libevent \d+\.\d+.*openssl \d+\.\d+")
        self.assertRegex(text, r"(?m)^connect_timeout_ms +2000 +default +\S")
        self.assertRegex(text, r"(?m)^url +redis://127\.0\.0\.1:6379\S* +default ")

    def test_authorities_that_tls_trusts(self):
        done = run("info", env={**support.clean_environment(), "SSL_CERT_FILE": "/my/authorities.pem"})
        self.assertIn("authorities that TLS trusts: /my/authorities.pem\n", done.stdout.decode())

    def test_the_environment_of_services_and_other_clients(self):
        env = {"FANWIRE_PORT": "tcp://10.0.0.1:80", "REDIS_URL": "rediss://h?ssl_cert_reqs=none&decode_responses=true"}
        rows = settings(env=env)
        self.assertEqual((rows["port"]["value"], rows["port"]["from"]), ("6379", "default"))
        self.assertEqual((rows["tls_verify"]["value"], rows["tls_verify"]["from"]), ("false", "url"))

    def test_the_log_is_shown_when_its_level_is_set(self):
        env = {"FANWIRE_PORT": "tcp://10.0.0.1:80", "REDIS_URL": "memory://x?decode_responses=true"}
        done = run("pub", "chat", "hello", env=env)
        self.assertEqual((done.stdout, done.stderr), (b"0\n", b""))
        done = run("pub", "chat", "hello", "--log-level", "warn", env=env)
        self.assertEqual(done.stdout, b"0\n")
        first, second = done.stderr.decode().splitlines()
        self.assertRegex(first, "^fanwire: log: .*decode_responses has no effect")
        self.assertRegex(second, "^fanwire: log: .*FANWIRE_PORT.*ignored")

    def test_reader_that_left_is_no_failure(self):
        for arguments in (("info",), ("--help",), ("--version",)):
            with self.subTest(arguments=arguments):
                reading_end, writing_end = os.pipe()
                os.close(reading_end)
                with os.fdopen(writing_end, "wb") as stdout:
                    done = subprocess.run([support.COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE,
                                          timeout=support.DEADLINE, env=support.clean_environment())
                self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_json(self):
        done = run("info", "--json")
        info = json.loads(done.stdout)
        self.assertRegex(info["version"], r"^\d+\.\d+\.\d+$")
        self.assertTrue({"hiredis", "libevent", "openssl"} <= set(info["dependencies"]))
        self.assertIn("authorities", info)
        rows = {row["name"]: row for row in info["settings"]}
        self.assertGreater(len(rows), 20)
        self.assertEqual(set(rows["port"]), {"name", "value", "from", "type", "default", "range", "help", "secret"})
        self.assertEqual((rows["port"]["value"], rows["port"]["from"]), ("6379", "default"))
        self.assertTrue(rows["password"]["secret"])

    def test_where_values_come_from(self):
        name = "connect_timeout_ms"
        env = {"FANWIRE_CONNECT_TIMEOUT_MS": "111"}
        url = ("--url", f"redis://localhost?{name}=222")
        option = ("--connect-timeout-ms", "333")

        def found(*arguments, env=None):
            row = settings(*arguments, env=env)[name]
            return row["value"], row["from"]

        self.assertEqual(found(), ("2000", "default"))
        self.assertEqual(found(env=env), ("111", "environment"))
        self.assertEqual(found(*url, env=env), ("222", "url"))
        self.assertEqual(found(*url, *option, env=env), ("333", "option"))
        self.assertEqual(found(env={"REDIS_URL": url[1]}), ("222", "url"))

    def test_every_way_to_spell_an_option(self):
        for spelling in (("--connect-timeout-ms", "444"), ("--connect-timeout-ms=444",), ("--connect_timeout_ms=444",),
                         ("--set", "connect_timeout_ms=444"), ("--set=connect_timeout_ms=444",)):
            with self.subTest(spelling=spelling):
                self.assertEqual(settings(*spelling)["connect_timeout_ms"]["value"], "444")

    def test_every_setting_is_an_option(self):
        for name, row in settings().items():
            if name in ("url", "password"):
                continue
            with self.subTest(name=name):
                value = row["value"]
                url = ()
                if name in ("nodes", "master") or name.startswith("sentinel_"):  # of groups alone
                    url = ("--url", "redis-sentinel://?master=m")
                    value = {"nodes": "a:1,b", "master": "other"}.get(name, "x")
                flag = f"--{name.replace('_', '-')}={value}"
                changed = settings(*url, flag)[name]
                shown = "***" if name == "sentinel_password" else value
                self.assertEqual((changed["value"], changed["from"]), (shown, "option"))

    def test_passwords_are_hidden(self):
        for arguments in (("--url", "redis://user:hunter2@localhost"), ("--password", "hunter2")):
            for form in ((), ("--json",)):
                with self.subTest(arguments=arguments, form=form):
                    done = run("info", *form, *arguments)
                    self.assertEqual(done.returncode, 0)
                    self.assertNotIn(b"hunter2", done.stdout)
                    self.assertIn(b"***", done.stdout)

    def test_the_url_is_taken_apart(self):
        rows = settings("--url", "redis://user:secret@redis.example:1234/5")
        self.assertEqual([rows[name]["value"] for name in ("host", "port", "username", "password", "db")],
                         ["redis.example", "1234", "user", "***", "5"])
        self.assertEqual({rows[name]["from"] for name in ("host", "port", "username", "password", "db")}, {"url"})

    def test_markdown(self):
        lines = run("info", "--settings", "markdown").stdout.decode().splitlines()
        self.assertEqual(lines[0], "| setting | type | default | range | what it is |")
        names = [re.match(r"\| `(\w+)` \|", line)[1] for line in lines[2:]]
        self.assertEqual(names, list(settings()))
        for line in lines:
            self.assertEqual(len(re.findall(r"(?<!\\)\|", line)), 6, line)

    def test_check(self):
        redis = RedisServer()
        self.addCleanup(redis.stop)
        good = run("info", "--check", "--json", "--url", redis.url)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertTrue(json.loads(good.stdout)["check"]["connected"])
        self.assertRegex(run("info", "--check", "--url", redis.url).stdout, rb"(?m)^connected in \d+ ms$")
        redis.kill()
        bad = run("info", "--check", "--json", "--url", redis.url)
        self.assertEqual(bad.returncode, 1)
        self.assertRegex(bad.stderr, rb"\Afanwire: [^\n]+\n\Z")
        self.assertFalse(json.loads(bad.stdout)["check"]["connected"])


class Help(unittest.TestCase):
    def test_version(self):
        for option in ("--version", "-V"):
            done = run(option)
            self.assertRegex(done.stdout, rb"\Afanwire \d+\.\d+\.\d+\n\Z")
            self.assertEqual(done.returncode, 0)

    def test_help(self):
        for arguments in (("--help",), ("-h",), ("help",)):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            for word in (b"sub", b"pub", b"info", b"Exit codes", b"130"):
                self.assertIn(word, done.stdout)

    def test_help_of_each_command(self):
        names = settings()
        for command in ("sub", "pub", "info"):
            for arguments in ((command, "--help"), (command, "-h"), ("help", command), (command, "--json", "--help")):
                if command == "pub" and "--json" in arguments:
                    continue
                with self.subTest(arguments=arguments):
                    done = run(*arguments)
                    self.assertEqual((done.returncode, done.stderr), (0, b""))
                    text = done.stdout.decode()
                    for word in (f"Usage: fanwire {command}", "Examples:", "Exit codes:", "--set NAME=VALUE"):
                        self.assertIn(word, text)
                    for name in names:
                        self.assertIn("--" + name.replace("_", "-"), text)


support.main()
