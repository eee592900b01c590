"""Signals reach a process that waits in the engine, whatever it waits for. No test relies on a lapse of time."""

import sys

import pytest
from child import run
from waits import END, SETUP, WAITS

# Interrupts the main thread by a timer. When it has been found at the same instruction three times it waits there, as
# its handlers run meanwhile; then `act` is called.
WATCH = """
def when_waiting(act):
    found = []

    def on_alarm(number, frame):
        where = (frame.f_code, frame.f_lasti)
        found[:] = [*found, where] if found and found[-1] == where else [where]
        if len(found) == 3:
            signal.setitimer(signal.ITIMER_REAL, 0)
            act()

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_while_blocked(own_redis, wait):
    code = f"""
{WATCH}
{SETUP.format(pid=own_redis._process.pid)}
try:
    when_waiting(interrupt)
    {wait}
except KeyboardInterrupt:
    print("interrupted")
{END}
"""
    done = run(code, own_redis.url)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.mark.parametrize("wait", WAITS)
def test_other_threads_run_while_one_is_blocked(own_redis, wait):
    """The thread that ends the wait could not run if the one that waits kept the GIL."""
    code = f"""
def end_the_wait():
    found = []
    while len(found) < 3:  # times at the same instruction within the call
        frame = inner = sys._current_frames()[threading.main_thread().ident]
        while frame.f_back is not None:
            frame = frame.f_back
        where = (frame.f_lineno == line, inner.f_code, inner.f_lasti)
        found = [*found, where] if where[0] and found[-1:] in ([], [where]) else []
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGINT)

{SETUP.format(pid=own_redis._process.pid)}
thread = threading.Thread(target=end_the_wait)
line = sys._getframe().f_lineno + 3
thread.start()
try:
    {wait}
except KeyboardInterrupt:
    print("interrupted")
thread.join()
{END}
"""
    done = run(code, own_redis.url)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.mark.parametrize("wait", ["stream.get()", "next(stream)", "next(events)"])
def test_a_handler_runs_while_waiting_and_the_wait_goes_on(url, wait):
    """It may even call the client that is waiting."""
    done = run(
        WATCH
        + f"""
client = fanwire.Client(url)
stream = client.subscribe("a")
events = stream.events()
assert next(events).kind == "active"
when_waiting(lambda: client.publish("a", "from the handler"))
print({wait}.text)
client.close()
""",
        url,
    )
    assert (done.stdout, done.stderr) == ("from the handler\n", "")


def test_a_handler_that_raises_ends_a_wait(memory_url):
    done = run(
        WATCH
        + """
def give_up():
    raise LookupError("enough")

client = fanwire.Client(url)
stream = client.subscribe("a")
try:
    when_waiting(give_up)
    list(stream)
except LookupError as error:
    print(error)
client.publish("a", "it still works")
print(stream.get().text)
client.close()
""",
        memory_url,
    )
    assert (done.stdout, done.stderr) == ("enough\nit still works\n", "")


def test_ctrl_c_in_an_event_loop(url):
    """asyncio cancels the main task, which closes its bus."""
    done = run(
        """
async def main():
    async with fanwire.connect(url) as bus:
        stream = bus.subscribe("a")
        await stream.ready
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)  # runs once it waits below
        try:
            async for message in stream:
                pass
        finally:
            print("left", stream.state)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
""",
        url,
    )
    assert (done.stdout, done.stderr) == ("left active\ninterrupted\n", "")


def test_sigterm_ends_a_program_that_waits(own_redis):
    """As servers do it: the handler raises SystemExit, the blocks are left, the client is closed."""
    done = run(
        WATCH
        + """
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(5))
with fanwire.Client(url, on_event=lambda event: None) as client:
    with client.subscribe("a") as stream:
        stream.wait_ready()
        when_waiting(lambda: os.kill(os.getpid(), signal.SIGTERM))
        stream.get()
""",
        own_redis.url,
        status=5,
    )
    assert (done.stdout, done.stderr) == ("", "")


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


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_signals_that_the_main_thread_blocks_are_taken_by_no_other(redis):
    """Else they would end the process at once, where the main thread holds a lock that it shares with others, say."""
    done = run(
        """


        def blocking():
            statuses = [open(f"/proc/self/task/{task}/status").read() for task in os.listdir("/proc/self/task")]
            masks = [int(status.split("SigBlk:")[1].split()[0], 16) for status in statuses]
            return all(mask >> (signal.SIGTERM - 1) & 1 for mask in masks)

        client = fanwire.Client(url)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        while not blocking():  # that thread is new
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.sigpending() == {signal.SIGTERM}, client.publish("a", "x"))
        client.close()
        """,
        redis.url,
    )
    assert done.stdout == "True 0\n"
