"""The engine's log comes through Python's logging."""

import asyncio
import logging
import time

import fanwire
import pytest
from child import run
from conftest import until, until_blocking, within
from redis_server import free_port

FAST = {"max_reconnect_delay_ms": 50, "reconnect_delay_ms": 20}


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.DEBUG, "fanwire")
    return caplog


def lines(log):
    return [(record.levelname, record.getMessage()) for record in log.records if record.name == "fanwire"]


async def test_of_a_bus(own_redis, log):
    before = time.time()
    async with fanwire.open(own_redis.url, log_level="info", **FAST) as bus:
        await within(bus.opened)
        await until(lambda: ("INFO", "connected") in lines(log))
        own_redis.kill()
        await until(lambda: any(level == "WARNING" and "disconnected" in text for level, text in lines(log)))
    assert all(before <= record.created <= time.time() for record in log.records)


def test_of_a_client_and_an_engine(log):
    for kind in (fanwire.Client, fanwire.Engine):
        log.clear()
        port = free_port()
        with kind(f"redis://127.0.0.1:{port}", wait=False):
            until_blocking(lambda: any(str(port) in text for _, text in lines(log)))


@pytest.mark.parametrize("level, wanted", [("off", set()), ("error", {"ERROR"}), ("warn", {"ERROR", "WARNING"})])
async def test_levels(log, level, wanted):
    url = f"redis://127.0.0.1:{free_port()}"
    async with (
        fanwire.open(url, log_level="debug", max_reconnect_attempts=2, **FAST) as all_of_it,
        fanwire.open(url, log_level=level, max_reconnect_attempts=2, client_name="b", **FAST),
    ):
        await until(lambda: sum(level == "ERROR" for level, _ in lines(log)) == 1 + ("ERROR" in wanted))
        await asyncio.sleep(0)
    seen = [level for level, _ in lines(log)]
    assert seen.count("WARNING") >= 1 + ("WARNING" in wanted)
    assert all_of_it is not None


def test_passwords_are_not_in_it(own_redis, log):
    own_redis.cli("CONFIG", "SET", "requirepass", "other")
    with fanwire.Client(own_redis.url, wait=False, password="hunter2", log_level="debug"):
        until_blocking(lambda: any("WRONGPASS" in text or "password" in text for _, text in lines(log)))
    assert "hunter2" not in log.text


def test_a_program_without_logging_prints_nothing():
    done = run(
        """
        client = fanwire.Client(url, wait=False, log_level="debug", reconnect_delay_ms=1)
        while client.stats()["connect_errors"] < 3:
            time.sleep(0.001)
        client.close()
        """,
        f"redis://127.0.0.1:{free_port()}",
    )
    assert (done.stdout, done.stderr) == ("", "")


LOGGING = """
import logging
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout, level="DEBUG")
"""


def test_what_is_said_at_exit_is_not_lost(url):
    done = run(LOGGING + "client = fanwire.Client(url, log_level='debug')\n", url, options=())
    assert "INFO connected" in done.stdout


def test_in_a_forked_child():
    done = run(
        LOGGING
        + """
def open_and_wait(name):
    with fanwire.Client(url, wait=False, client_name=name) as client:
        while client.stats()["connect_errors"] == 0:
            time.sleep(0.001)
    # The thread that writes has its turn before the process ends.
    fanwire._log.flush()
    sys.stdout.flush()

open_and_wait("parent")
if (child := os.fork()) == 0:
    open_and_wait("child")
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
open_and_wait("parent")
""",
        f"redis://127.0.0.1:{free_port()}",
        options=(),
    )
    assert done.stdout.count("WARNING connecting failed") >= 3, done.stdout


def test_a_flood_is_bounded_and_counted():
    done = run(
        """
        import logging
        got = []

        class Slow(logging.Handler):
            def emit(self, record):
                got.append(record)
                if record.levelno == logging.WARNING and len(got) == 1:
                    stuck.set()
                    gate.wait(20)

        stuck, gate = threading.Event(), threading.Event()
        logging.getLogger("fanwire").addHandler(Slow())
        logging.getLogger("fanwire").setLevel("DEBUG")
        settings = dict(wait=False, log_level="debug", reconnect_delay_ms=1, max_reconnect_delay_ms=1)
        client = fanwire.Client(url, **settings)
        assert stuck.wait(20)
        while client.stats()["connect_errors"] < 1100:
            time.sleep(0.01)
        client.close()
        gate.set()
        while not any("were left out" in record.getMessage() for record in got):
            time.sleep(0.001)
        assert len(got) <= 1100, len(got)
        """,
        f"redis://127.0.0.1:{free_port()}",
    )
    assert done.stderr == ""


def test_a_handler_that_raises_does_not_end_it():
    done = run(
        """
        import logging
        got = []

        class Bad(logging.Handler):
            def emit(self, record):
                got.append(record)
                raise SystemExit

        logging.getLogger("fanwire").addHandler(Bad())
        with fanwire.Client(url, wait=False, reconnect_delay_ms=1, max_reconnect_delay_ms=1):
            while len(got) < 3:
                time.sleep(0.001)
        """,
        f"redis://127.0.0.1:{free_port()}",
    )
    assert done.stderr == ""
