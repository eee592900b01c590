"""Buses that are not closed, in processes of their own: none may crash or hang."""

import subprocess
import sys
import textwrap

import pytest
from conftest import DEADLINE_S

PRELUDE = """
import asyncio, gc, os, signal, sys, threading, time
import fanwire
"""


def run(code, url, *, status=0, options=()):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "always::ResourceWarning", *options]
        + ["-c", PRELUDE + f"url = {url!r}\n" + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == status, done.stderr
    assert "Fatal" not in done.stderr, done.stderr
    return done


def test_exit_with_an_open_bus(url):
    done = run(
        """
        async def handler(message):
            await asyncio.sleep(0)

        async def main():
            global bus, stream
            bus = await fanwire.connect(url)
            bus.subscribe("a", lambda message: None)
            bus.subscribe("a", handler)
            stream = bus.subscribe("a")
            await stream.ready
            for _ in range(100):
                bus.publish_nowait("a", "x")

        asyncio.run(main())
        print("end")
        """,
        url,
    )
    assert done.stdout == "end\n"
    assert "ResourceWarning: unclosed <fanwire.Bus" in done.stderr


def test_exit_in_the_middle_of_a_loop(url):
    done = run(
        """
        async def main():
            bus = await fanwire.connect(url)
            stream = bus.subscribe("a")
            waiting = asyncio.ensure_future(anext(stream))
            await stream.ready
            sys.exit(3)

        asyncio.run(main())
        """,
        url,
        status=3,
    )
    assert "Traceback" not in done.stderr.replace("ResourceWarning: Enable tracemalloc to get the object", "")


def test_exit_with_an_open_client(url):
    done = run(
        """
        client = fanwire.Client(url, on_event=lambda event: None)
        got = threading.Event()
        client.subscribe("a", lambda message: got.set()).wait_ready()
        stream = client.subscribe("a")
        client.publish("a", "x")
        assert got.wait(10)
        print("end")
        """,
        url,
    )
    assert done.stdout == "end\n"
    assert "ResourceWarning: unclosed <fanwire.Client" in done.stderr


def test_exit_while_a_handler_runs(url):
    done = run(
        """
        client = fanwire.Client(url)
        started = threading.Event()

        def handler(message):
            started.set()
            time.sleep(100)

        client.subscribe("a", handler).wait_ready()
        client.publish("a", "x")
        assert started.wait(10)
        print("end")
        """,
        url,
    )
    assert done.stdout == "end\n"


def test_exit_while_another_thread_waits(url):
    done = run(
        """
        client = fanwire.Client(url)
        stream = client.subscribe("a")
        stream.wait_ready()
        threading.Thread(target=lambda: list(stream), daemon=True).start()
        client.publish("a", "x")
        print("end")
        """,
        url,
    )
    assert done.stdout == "end\n"


def test_exit_while_many_threads_come_and_go(url):
    """Whatever they are doing in the engine when the interpreter ends."""
    done = run(
        """
        client = fanwire.Client(url)

        def receive():
            while True:
                try:
                    with client.subscribe("a") as stream:
                        stream.wait_ready()
                        stream.get(timeout=0.01)
                except fanwire.FanwireError:
                    pass

        def publish():
            while True:
                try:
                    client.publish("a", "x")
                except fanwire.FanwireError:
                    pass

        for function in [receive, publish] * 4:
            threading.Thread(target=function, daemon=True).start()
        while client.stats()["publish_ok"] < 200:  # all of it is under way
            time.sleep(0.001)
        print("end")
        """,
        url,
    )
    assert done.stdout == "end\n"


def test_an_unclosed_bus_is_collected_with_its_loop(url):
    done = run(
        """
        import weakref

        class User:
            def start(self, bus):
                self.bus = bus
                self.subscription = bus.subscribe("a", self.handle)

            def handle(self, message):
                pass

        async def main():
            bus = await fanwire.connect(url)
            user = User()
            user.start(bus)
            await user.subscription.ready
            return weakref.ref(bus), weakref.ref(user)

        references = asyncio.run(main())
        gc.collect()
        print([reference() for reference in references])
        """,
        url,
    )
    assert done.stdout == "[None, None]\n"
    assert done.stderr.count("ResourceWarning: unclosed <fanwire.Bus") == 1


def test_an_unclosed_client_is_collected(url):
    done = run(
        """
        fanwire.Client(url).publish("a", "x")
        print("collected")
        time.sleep(0)
        """,
        url,
    )
    assert done.stderr.count("ResourceWarning: unclosed <fanwire.Client") == 1


def test_a_stream_keeps_its_client(url):
    run(
        """
        stream = fanwire.Client(url).subscribe("a")
        gc.collect()
        stream.wait_ready()
        assert stream.state == "active"
        stream._client.close()
        """,
        url,
    )


def test_a_running_loop_keeps_its_bus(url):
    run(
        """
        async def main():
            got = asyncio.Event()

            async def subscribe():
                bus = await fanwire.connect(url)
                await bus.subscribe("a", lambda message: got.set()).ready
                asyncio.get_running_loop().call_later(0.05, lambda: bus_ref().publish_nowait("a", "x"))
                import weakref
                bus_ref = weakref.ref(bus)

            await subscribe()
            gc.collect()
            await asyncio.wait_for(got.wait(), 10)

        asyncio.run(main())
        """,
        url,
    )


def test_many_buses_come_and_go(url):
    done = run(
        """
        def held():
            gc.collect()
            return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

        async def main():
            before = held()
            for _ in range(30):
                async with fanwire.connect(url) as bus:
                    stream = bus.subscribe("a")
                    await stream.ready
                    await bus.publish("a", "x")
                    await anext(stream)
            del bus, stream
            while held() != before:  # or the test's time limit
                await asyncio.sleep(0.01)
            print("all given back")

        asyncio.run(main())
        """,
        url,
    )
    assert done.stdout == "all given back\n"


def test_fork(url):
    done = run(
        """
        client = fanwire.Client(url, on_event=lambda event: None)
        stream = client.subscribe("a")
        stream.wait_ready()
        child = os.fork()
        if child == 0:
            for call in (
                lambda: client.publish("a", "x"),
                lambda: client.publish_nowait("a", "x"),
                lambda: client.subscribe("a"),
                lambda: stream.get(timeout=1),
            ):
                try:
                    call()
                except fanwire.ClosedError as error:
                    assert "fork" in str(error), error
                else:
                    os._exit(1)
            with fanwire.Client(url) as own:
                assert own.publish("b", "x") == 0
            client.close()
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        client.publish("a", "still works")
        print(stream.get(timeout=10).text)
        client.close()
        """,
        url,
        options=["-W", "ignore::DeprecationWarning"],
    )
    assert done.stdout == "still works\n"
    assert "unclosed" not in done.stderr


@pytest.mark.parametrize(
    "wait",
    ["list(stream)", "stream.get()", "client.publish('a', 'x')", "subscription.wait_ready(None)"],
)
def test_ctrl_c_while_blocked(own_redis, wait):
    code = f"""
        client = fanwire.Client(url, publish_timeout_ms=60000)
        stream = client.subscribe("a")
        stream.wait_ready()
        os.kill({own_redis._process.pid}, signal.SIGKILL)
        while client.connected:
            time.sleep(0.005)
        subscription = client.subscribe("b")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            {wait}
        except KeyboardInterrupt:
            assert time.monotonic() - start < 5
            print("interrupted")
        try:
            client.close(0)
        except fanwire.TimeoutError:
            pass
    """
    assert run(code, own_redis.url).stdout == "interrupted\n"


@pytest.mark.parametrize("timeout", ["15", "None"])
def test_ctrl_c_while_closing(own_redis, timeout):
    """Redis stands still with a publish under way; then the process ends without waiting for it either."""
    done = run(
        f"""
        client = fanwire.Client(url, publish_timeout_ms=60000, heartbeat_timeout_ms=60000)
        client.subscribe("a", print).wait_ready()
        client.publish("b", "x")
        os.kill({own_redis._process.pid}, signal.SIGSTOP)
        client.publish_nowait("b", "x")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            client.close({timeout})
        except KeyboardInterrupt:
            assert time.monotonic() - start < 5
            print("interrupted", client)
        """,
        own_redis.url,
    )
    assert done.stdout.startswith("interrupted <fanwire.Client") and "closed>" in done.stdout
    assert done.stderr == ""


def test_ctrl_c_in_a_handler_wakes_a_stream_all_the_same(memory_url):
    done = run(
        """
        got = []

        def handler(message):
            raise KeyboardInterrupt

        async def receive(stream):
            async for message in stream:
                got.append(message.text)

        async def main():
            global bus, task
            bus = await fanwire.connect(url)
            await bus.subscribe("a", handler).ready
            stream = bus.subscribe("a")
            task = asyncio.ensure_future(receive(stream))
            await stream.ready
            for _ in range(10):  # until it waits for a message
                await asyncio.sleep(0)
            bus.publish_nowait("a", "x")
            while bus.stats()["delivered"] < 2:  # both inboxes are to wake the loop together
                time.sleep(0.001)
            await asyncio.sleep(10)

        async def rest():
            while not got:
                await asyncio.sleep(0.005)
            await bus.close()

        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        except KeyboardInterrupt:
            print("interrupted")
        loop.run_until_complete(asyncio.wait_for(rest(), 5))
        print(*got)
        """,
        memory_url,
    )
    assert done.stdout == "interrupted\nx\n"


def test_ctrl_c_in_a_handler_loses_no_other_event(memory_url):
    done = run(
        """
        got = []

        def handler(message):
            got.append(message.text)
            if message.text == "3":
                raise KeyboardInterrupt

        async def main():
            global bus
            bus = await fanwire.connect(url)
            await bus.subscribe("a", handler).ready
            for number in range(10):
                bus.publish_nowait("a", str(number))
            while len(got) < 10:
                await asyncio.sleep(0.001)

        loop = asyncio.new_event_loop()
        for _ in range(2):
            try:
                loop.run_until_complete(main() if not got else bus.close())
            except KeyboardInterrupt:
                print("interrupted")
        print(*got)
        """,
        memory_url,
    )
    assert done.stdout == "interrupted\n0 1 2 3 4 5 6 7 8 9\n"
