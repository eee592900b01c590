"""Several OpenSSLs in one process, each with TLS in use, whichever comes first: ours, that of Python's ssl, and that of the
package cryptography, which has one inside as a wheel of ours does."""

import itertools
import subprocess
from pathlib import Path

import fanwire._native
import pytest
from child import run
from redis_server import RedisServer, free_port

MAKE = Path(__file__).parent.parent / "support" / "certificates.sh"

# Before all else, since asyncio imports ssl: the libraries in the order of the test.
LOAD = """
import ctypes
for name in {order!r}:
    if name == "fanwire":
        ctypes.CDLL({native!r})
    elif name == "ssl":
        import ssl
    else:
        import cryptography.hazmat.bindings._rust
"""

USE = """
import pathlib, socket, ssl
from cryptography import x509

folder = pathlib.Path({folder!r})
payload = bytes(range(256)) * 1000


def serve(listener):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as tls:
        tls.sendall(payload)


def use_ssl():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=[listener])
        server.start()
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        with socket.create_connection(listener.getsockname()) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls, tls.makefile("rb") as file:
                assert file.read(len(payload)) == payload
        server.join()


def use_cryptography():
    server, ca = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("server.pem", "ca.pem"))
    server.verify_directly_issued_by(ca)


client = None


def use_fanwire():
    global client
    client = client or fanwire.Client(url, tls_ca_file=folder / "ca.pem")
    with client.subscribe("chat") as messages:
        messages.wait_ready()
        assert client.publish("chat", payload) == 1
        assert messages.get(timeout=20).data == payload


use = {{"ssl": use_ssl, "fanwire": use_fanwire, "cryptography": use_cryptography}}
order = {order!r}
for name in [*order, *reversed(order)]:
    use[name]()
# A connection of each at once, while the others come and go.
threads = [threading.Thread(target=lambda name=name: [use[name]() for _ in range(10)]) for name in order]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
client.close()
print("done")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([MAKE, folder], check=True)
    tls_port = free_port()
    redis = RedisServer(
        *("--tls-port", str(tls_port), "--tls-auth-clients", "no", "--tls-ca-cert-file", folder / "ca.pem"),
        *("--tls-cert-file", folder / "server.pem", "--tls-key-file", folder / "server.key"),
    )
    yield f"rediss://127.0.0.1:{tls_port}", str(folder)
    redis.stop()


@pytest.mark.parametrize("order", list(itertools.permutations(["ssl", "fanwire", "cryptography"])), ids="-".join)
def test_they_do_not_meet(server, order):
    pytest.importorskip("cryptography")
    url, folder = server
    load = LOAD.format(order=order, native=fanwire._native.__file__)
    done = run(USE.format(order=order, folder=folder), url, first=load)
    assert done.stdout == "done\n", done.stderr
