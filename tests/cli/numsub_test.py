"""fanwire numsub: how many subscribers channels have."""

import unittest

import support
from support import RedisTest, run


class Numsub(RedisTest):
    def numsub(self, *arguments):
        done = run("numsub", "--url", self.redis.url, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout

    def test_one_channel_is_a_number(self):
        self.assertEqual(self.numsub("alone"), b"0\n")
        self.subscribe("alone", "--timeout", "60")
        self.subscribe("alone")
        self.assertEqual(self.numsub("alone"), b"2\n")

    def test_several_channels_are_a_table(self):
        self.subscribe("a", "b")
        self.subscribe("b", "--pattern", "*")
        self.assertEqual(self.numsub("a", "b", "c", "a"), b"a\t1\nb\t2\nc\t0\na\t1\n")

    def test_json(self):
        self.assertEqual(self.numsub("--json", 'say "hi"', "x"),
                         b'{"channel":"say \\"hi\\"","subscribers":0}\n{"channel":"x","subscribers":0}\n')

    def test_in_memory_there_is_nobody(self):
        done = run("numsub", "--url", "memory://shell", "a")
        self.assertEqual((done.returncode, done.stdout), (0, b"0\n"))

    def test_what_cannot_be(self):
        for arguments, code, word in (([], 2, b"CHANNEL"), (["", "a"], 2, b"channel"), (["c"] * 1025, 1, b"1024")):
            with self.subTest(arguments=arguments[:2]):
                done = run("numsub", "--url", self.redis.url, *arguments)
                self.assertEqual((done.returncode, done.stdout), (code, b""))
                self.assertRegex(done.stderr, rb"\Afanwire: [^\n]*" + word + rb"[^\n]*\n\Z")

    def test_nobody_there(self):
        done = run("numsub", "--url", f"redis://127.0.0.1:{support.free_port()}", "a")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"refused", done.stderr)


class Forbidden(RedisTest):
    def test_a_user_without_the_right(self):
        self.redis.redis_cli("ACL", "SETUSER", "app", "on", ">pw", "resetchannels", "-@all", "&ws:*", "+publish", "+subscribe",
                             "+psubscribe", "+unsubscribe", "+punsubscribe", "+ping", "+client|setname", "+info")
        done = run("numsub", "--url", self.redis.url, "--username", "app", "--password", "pw", "a")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"NUMSUB", done.stderr)
        self.redis.redis_cli("ACL", "SETUSER", "app", "+pubsub|numsub")
        done = run("numsub", "--url", self.redis.url, "--username", "app", "--password", "pw", "a")
        self.assertEqual((done.returncode, done.stdout), (0, b"0\n"))


if __name__ == "__main__":
    support.main()
