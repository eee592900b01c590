"""Buses that are not closed, in processes of their own: none may crash or hang."""

import pytest
from child import run


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


@pytest.mark.parametrize("kind", ["handler", "coroutine handler", "callback", "error", "on_event"])
def test_exit_while_a_loop_in_a_daemon_thread_is_busy(memory_url, kind):
    """The interpreter takes the thread away in the middle of what runs there, with what is native below it."""
    run(
        f"""
        kind = {kind!r}
        busy = threading.Event()

        def spin(*args):
            busy.set()
            while True:  # asks for the interpreter again and again
                time.sleep(0)

        class Error(Exception):
            def __str__(self):
                spin()

        def raise_error(message):
            raise Error

        async def publish(bus):
            while True:
                outcome = bus.publish("a", {{"n": 1}})
                if kind == "callback":
                    outcome.add_done_callback(spin)
                await outcome
                await asyncio.sleep(0)

        async def main():
            async with fanwire.connect(url) as bus:
                loop = asyncio.get_running_loop()
                loop.set_exception_handler(lambda loop, context: str(context["exception"]))
                handler = {{"handler": spin, "error": raise_error, "coroutine handler": None}}.get(kind, print)
                if kind == "coroutine handler":
                    async def handler(message):
                        spin()
                bus.subscribe("a", handler, on_event=spin if kind == "on_event" else None)
                await publish(bus)

        sys.stdout = open(os.devnull, "w")
        threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
        assert busy.wait(20)
        # What runs when the modules are cleared gives the thread the time to ask.
        class Last:
            def __del__(self, sleep=time.sleep):
                sleep(0.05)
        sys.last = Last()
        """,
        memory_url,
        options=(),
    )


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

        async def use():
            async with fanwire.connect(url) as bus:
                stream = bus.subscribe("a")
                await stream.ready
                await bus.publish("a", "x")
                await anext(stream)

        async def main():
            await use()  # the first one starts the process's thread for the log
            while len(os.listdir("/proc/self/task")) > 2:
                await asyncio.sleep(0.01)
            before = held()
            for _ in range(30):
                await use()
            while held() != before:  # or the test's time limit
                await asyncio.sleep(0.01)
            print("all given back")

        asyncio.run(main())
        """,
        url,
    )
    assert done.stdout == "all given back\n"


QUIET = ()  # the warnings of Python's own defaults


def test_exit_with_everything_open_says_nothing(url):
    done = run(
        """
        client = fanwire.Client(url, on_event=lambda event: None)
        got = threading.Event()
        client.subscribe("a", lambda message: got.set(), on_event=print).wait_ready()
        stream = client.subscribe("a")
        iterator = stream.events()
        next(iterator)
        threading.Thread(target=lambda: client.subscribe("b").get(), daemon=True).start()

        async def handler(message):
            pass

        async def main():
            global bus, streams
            bus = await fanwire.connect(url, on_event=lambda event: None)
            streams = [bus.subscribe("a"), bus.subscribe("a", handler), bus.subscribe("a", lambda message: None)]
            for subscription in streams:
                await subscription.ready
            asyncio.ensure_future(anext(streams[0]))
            for _ in range(100):
                bus.publish_nowait("a", "x")
                client.publish_nowait("a", "x")

        asyncio.run(main())
        assert got.wait(10)
        sys.stdout = None  # on_event of the end has nowhere to print to
        """,
        url,
        options=QUIET,
    )
    assert done.stderr == ""


def test_what_is_freed_last(url):
    """Attributes of sys live on when the modules, the package's own among them, are gone."""
    done = run(
        """
        client = fanwire.Client(url, on_event=lambda event: None)
        stream = client.subscribe("a")
        handled = client.subscribe("a", lambda message: None)
        stream.wait_ready()
        client.publish("a", "x")
        sys.kept = [stream.get(), handled, client, stream, client._engine, stream._inbox, fanwire._native.Waker()]
        sys.kept.append(sys.kept)  # a circle that only the garbage collector opens
        """,
        url,
        options=QUIET,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_exit_from_a_handler(url):
    """sys.exit() ends the thread that it is called in, and that is not the client's to end."""
    done = run(
        """
        import logging
        logging.getLogger("fanwire").addHandler(logging.NullHandler())
        client = fanwire.Client(url)
        got = []

        def handler(message):
            got.append(message.text)
            sys.exit(3)

        client.subscribe("a", handler).wait_ready()
        for number in range(3):
            client.publish("a", str(number))
        while len(got) < 3:
            time.sleep(0.001)
        print(*got)
        """,
        url,
        options=QUIET,
    )
    assert (done.stdout, done.stderr) == ("0 1 2\n", "")


def test_many_threads_publish(url):
    done = run(
        """
        THREADS, EACH = 12, 200
        with fanwire.Client(url) as client, client.subscribe("a") as stream:
            stream.wait_ready()
            heard = []
            client.subscribe("a", lambda message: heard.append(message.text)).wait_ready()

            def publish(name):
                for number in range(EACH):
                    if number % 2:
                        client.publish_nowait("a", f"{name} {number}")
                    else:
                        assert client.publish("a", f"{name} {number}") >= 1

            threads = [threading.Thread(target=publish, args=(name,)) for name in range(THREADS)]
            for thread in threads:
                thread.start()
            got = [stream.get(timeout=15).text for _ in range(THREADS * EACH)]
            for thread in threads:
                thread.join()
            while len(heard) < len(got):
                time.sleep(0.001)
            assert got == heard
            pairs = [tuple(map(int, text.split())) for text in got]
            for name in range(THREADS):
                assert [number for whose, number in pairs if whose == name] == list(range(EACH))
            print(len(got), client.stats()["dropped"])
        """,
        url,
    )
    assert (done.stdout, done.stderr) == ("2400 0\n", "")


def test_a_client_opened_and_closed_while_the_interpreter_ends(url):
    """By an atexit handler from before the import, which runs after ours."""
    done = run(
        """
import atexit

def late():
    with fanwire.Client(url) as client:
        assert client.publish("a", "late") == 0
    print("closed")

atexit.unregister(fanwire._lifetime._abandon_all)
atexit.register(late)
atexit.register(fanwire._lifetime._abandon_all)
""",
        url,
    )
    assert (done.stdout, done.stderr) == ("closed\n", "")


def test_a_bus_closed_by_an_atexit_handler(url):
    done = run(
        """
import atexit

loop = asyncio.new_event_loop()

async def opened():
    return await fanwire.connect(url)

async def ended(bus):
    sent = asyncio.ensure_future(bus.publish("a", "last"))
    await asyncio.sleep(0)
    await bus.close()
    return await sent

def close():
    print(loop.run_until_complete(ended(bus)))
    loop.close()

bus = loop.run_until_complete(opened())
atexit.register(close)
""",
        url,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_warnings_that_are_errors_leave_nothing_open(own_redis):
    done = run(
        """
import atexit, socket

def report():
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as link:
        while True:  # their connections end a moment after they are closed
            link.sendall(b"CLIENT LIST\\r\\n")
            if b"name=fanwire" not in link.recv(65536):
                break
    print("none is left")

atexit.unregister(fanwire._lifetime._abandon_all)
atexit.register(report)
atexit.register(fanwire._lifetime._abandon_all)
clients = [fanwire.Client(url), fanwire.Client(url)]
""",
        own_redis.url,
        options=("-W", "error::ResourceWarning"),
    )
    assert done.stdout == "none is left\n" and "unclosed" in done.stderr
