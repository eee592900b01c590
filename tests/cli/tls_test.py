"""The fanwire command over TLS: its flags and what it says."""

import subprocess
import tempfile
from pathlib import Path

import support
from support import RedisTest, free_port, run

MAKE = Path(__file__).resolve().parent.parent / "support" / "certificates.sh"


class Tls(RedisTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="fanwire-certificates-")
        cls.addClassCleanup(folder.cleanup)
        subprocess.run([MAKE, folder.name], check=True)
        cls.folder = Path(folder.name)
        port = free_port()
        cls.server_arguments = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cert-file",
                                cls.folder / "server.pem", "--tls-key-file", cls.folder / "server.key",
                                "--tls-ca-cert-file", cls.folder / "ca.pem")
        super().setUpClass()
        cls.url = f"rediss://localhost:{port}"

    def refused(self, code, said, *arguments):
        done = run("pub", "chat", "hello", "--url", self.url, "--timeout", "5", *arguments)
        self.assertEqual((done.returncode, done.stdout), (code, b""))
        self.assertRegex(done.stderr.decode(), rf"\Afanwire: .*{said}.*\n\Z")

    def test_sub_and_pub(self):
        trust = ("--url", self.url, "--tls-ca-file", str(self.folder / "ca.pem"))
        sub = self.start("sub", "chat", "--count", "1", *trust)
        sub.wait_note("subscribed to")
        self.assertEqual(run("pub", "chat", "hello", *trust).stdout, b"1\n")
        self.assertEqual((sub.end(), sub.rest()), (0, [b"hello"]))

    def test_verification_off(self):
        self.assertEqual(run("pub", "nobody", "x", "--url", self.url, "--tls-verify=false").stdout, b"0\n")

    def test_the_authority_alone(self):
        trust = ("--url", self.url, "--tls-ca-file", str(self.folder / "ca.pem"), "--tls-server-name", "elsewhere")
        for flag in (("--tls-verify", "ca"), ("--tls-verify=ca",)):
            self.assertEqual(run("pub", *flag, "nobody", "x", *trust).stdout, b"0\n")
        self.refused(1, "not trusted", "--tls-verify", "ca", "--tls-ca-file", str(self.folder / "other-ca.pem"))
        # Alone it means true, and what follows it is an operand.
        self.assertIn(b"not for", run("pub", "--tls-verify", "nobody", "x", *trust, "--timeout", "5").stderr)

    def test_tls_is_a_flag(self):
        plain = self.url.replace("rediss", "redis")
        done = run("pub", "nobody", "x", "--url", plain, "--tls", "--tls-ca-file", str(self.folder / "ca.pem"))
        self.assertEqual((done.returncode, done.stdout), (0, b"0\n"), done.stderr)

    def test_refusals(self):
        self.refused(1, "CN=ca.*not trusted", "--tls-ca-file", str(self.folder / "other-ca.pem"))
        self.refused(1, "redis.test.*not for .elsewhere", "--tls-ca-file", str(self.folder / "ca.pem"),
                     "--tls-server-name", "elsewhere")
        self.refused(2, "tls_ca_file .*nowhere", "--tls-ca-file", "/nowhere")


support.main()
