import asyncio
import os
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from redis_server import RawConnection, RedisServer, free_port

DEADLINE_S = 20

# What is set outside must not decide what the tests see.
for _name in list(os.environ):
    if _name.startswith("FANWIRE_") or _name == "REDIS_URL":
        del os.environ[_name]


@pytest.fixture(scope="session")
def shared_redis():
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def redis(shared_redis):
    """A Redis for tests that leave it as it is."""
    return shared_redis


@pytest.fixture
def own_redis():
    """A Redis that the test may kill and configure."""
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def raw(redis):
    with RawConnection(redis.port) as connection:
        yield connection


@pytest.fixture
def memory_url():
    """An in-process backend that no other test sees."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture(params=["memory", "redis"])
def url(request):
    """Each backend in turn."""
    name = "memory_url" if request.param == "memory" else "redis"
    fixture = request.getfixturevalue(name)
    return fixture if request.param == "memory" else fixture.url


@pytest.fixture
def channel():
    """A channel that no other test uses."""
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([Path(__file__).parent.parent / "support" / "certificates.sh", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def tls_url(certificates):
    tls_port = free_port()
    server = RedisServer(
        *("--tls-port", str(tls_port), "--tls-auth-clients", "no", "--tls-ca-cert-file", certificates / "ca.pem"),
        *("--tls-cert-file", certificates / "server.pem", "--tls-key-file", certificates / "server.key"),
    )
    yield f"rediss://127.0.0.1:{tls_port}"
    server.stop()


def within(awaitable):
    """Awaits, but not for ever."""
    return asyncio.wait_for(awaitable, DEADLINE_S)


async def until(condition):
    """Waits, in an event loop, until the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def until_blocking(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
