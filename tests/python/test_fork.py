"""Processes that fork with a live engine. A child's copies are of no use to it and no harm to its parent."""

import sys

import pytest
from child import run

# From 3.12 on os.fork() warns of threads, which every engine has.
OPTIONS = ("-W", "ignore::DeprecationWarning")

HELPERS = """
def refused(call):
    try:
        call()
    except fanwire.ForkedError as error:
        return True
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return False

def in_child(function):
    '''Forks; the child calls the function and leaves with what it returns.'''
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = function() or 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return child

def end_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def undisturbed(bus):
    stats = bus.stats()
    return (stats["connects"], stats["disconnects"], stats["connect_errors"]) == (1, 0, 0)
"""


def run_forking(code, url, *, status=0, stdout):
    done = run(HELPERS + code, url, status=status, options=OPTIONS)
    assert (done.stdout, done.stderr) == (stdout, "")


def test_every_call_is_refused_in_the_child(url):
    run_forking(
        """
client = fanwire.Client(url, on_event=lambda event: None)
stream = client.subscribe("a")
handled = client.subscribe("a", lambda message: None)
stream.wait_ready()
client.publish("a", "already there")

def child():
    calls = [
        lambda: client.publish("a", "x"),
        lambda: client.publish("a", "x", timeout=1),
        lambda: client.publish_nowait("a", "x"),
        lambda: client.subscribe("a"),
        lambda: client.subscribe("a", print),
        lambda: client.psubscribe("a*"),
        lambda: client.set_credentials(None, None),
        lambda: client.health(),
        lambda: client.connected,
        lambda: stream.get(),
        lambda: stream.get(timeout=1),
        lambda: next(stream),
        lambda: next(stream.events()),
        lambda: stream.wait_ready(),
        lambda: stream.unsubscribe(),
        lambda: stream.state,
        lambda: handled.unsubscribe(),
    ]
    failed = [index for index, call in enumerate(calls) if not refused(call)]
    assert not failed, failed
    assert "of another process" in repr(client), client
    assert "of another process" in repr(stream), stream
    client.close()  # nothing to do, and no harm
    with client, stream:
        pass
    return 7

assert end_of(in_child(child)) == 7
assert stream.get().text == "already there"
client.publish("a", "still works")
print(stream.get().text, undisturbed(client))
client.close()
""",
        url,
        stdout="still works True\n",
    )


def test_a_child_opens_its_own(url):
    run_forking(
        """
def use():
    with fanwire.Client(url) as own:
        with own.subscribe("own") as messages:
            messages.wait_ready()
            assert own.publish("own", "x") == 1
            assert messages.get().text == "x"

def grandchild():
    assert refused(lambda: client.publish("a", "x"))
    use()
    return 3

def child():
    use()
    assert end_of(in_child(grandchild)) == 3
    use()
    return 4

client = fanwire.Client(url)
stream = client.subscribe("a")
stream.wait_ready()
assert end_of(in_child(child)) == 4
client.publish("a", "x")
print(stream.get().text, undisturbed(client))
client.close()
""",
        url,
        stdout="x True\n",
    )


def test_a_childs_garbage_is_no_harm(url):
    run_forking(
        """
client = fanwire.Client(url, on_event=lambda event: None)
stream = client.subscribe("a")
client.subscribe("a", lambda message: None).wait_ready()
stream.wait_ready()

def child():
    global client, stream
    del client, stream
    gc.collect()
    with fanwire.Client(url) as own:  # what was freed is not used by anybody
        own.publish("b", "x")

for _ in range(5):
    assert end_of(in_child(child)) == 0
for number in range(100):
    client.publish("a", str(number))
print([stream.get().text for _ in range(100)] == [str(number) for number in range(100)], undisturbed(client))
client.close()
""",
        url,
        stdout="True True\n",
    )


@pytest.mark.parametrize("leave", ["sys.exit(6)", "os._exit(6)", "os.execv('/bin/sh', ['sh', '-c', 'exit 6'])"])
def test_a_child_leaves_from_within_its_parents_blocks(url, leave):
    run_forking(
        f"""
with fanwire.Client(url, on_event=lambda event: None) as client:
    with client.subscribe("a") as stream:
        client.subscribe("a", lambda message: None).wait_ready()
        stream.wait_ready()
        child = os.fork()
        if child == 0:
            {leave}
        assert end_of(child) == 6
        client.publish("a", "x")
        print(stream.get().text, undisturbed(client))
""",
        url,
        stdout="x True\n",
    )


def test_a_child_while_another_thread_receives(url):
    """The parent's thread holds the stream's lock at that moment, and the child has no such thread."""
    run_forking(
        """
client = fanwire.Client(url)
stream = client.subscribe("a")
got = []
receiver = threading.Thread(target=lambda: got.extend(message.text for message in stream), daemon=True)
receiver.start()
while not stream._consumer.locked():
    time.sleep(0)

def child():
    assert refused(lambda: stream.get())
    assert refused(lambda: client.subscribe("b", print))

assert end_of(in_child(child)) == 0
stream.wait_ready()
client.publish("a", "x")
while not got:
    time.sleep(0.001)
stream.unsubscribe()
receiver.join()
print(got, undisturbed(client))
client.close()
""",
        url,
        stdout="['x'] True\n",
    )


def test_fork_in_a_thread_while_others_publish(url):
    """Whatever locks the publishing threads hold when it happens."""
    run_forking(
        """
client = fanwire.Client(url, inbox_count=100000000, inbox_bytes="1GiB")  # nobody receives until the end
stream = client.subscribe("a")
stream.wait_ready()
stop = threading.Event()
sent = []

def publish(name):
    number = 0
    while not stop.is_set():
        client.publish_nowait("a", f"{name} {number}")
        assert client.publish("b", "x") == 0
        number += 1
    sent.append((name, number))

def child():
    assert refused(lambda: client.publish("a", "x"))
    assert refused(lambda: client.publish_nowait("a", "x"))
    with fanwire.Client(url) as own:
        assert own.publish("c", "x") == 0

ends = []

def fork():
    ends.extend(end_of(in_child(child)) for _ in range(30))
    stop.set()

threads = [threading.Thread(target=publish, args=(name,), daemon=True) for name in "xyz"]
threads.append(threading.Thread(target=fork, daemon=True))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert ends == [0] * 30, ends
assert client.stats()["dropped"] == 0
got = [stream.get().text.split() for _ in range(sum(number for _, number in sent))]
for name, number in sent:
    assert [int(text) for whose, text in got if whose == name] == list(range(number))
print(len(sent), undisturbed(client))
client.close()
""",
        url,
        stdout="3 True\n",
    )


def test_prefork_as_servers_do(redis):
    """A parent with an engine of its own, and workers with theirs, which end in every way there is."""
    run_forking(
        """
COUNT = 200

def worker(leave):
    client = fanwire.Client(url, on_event=lambda event: None)
    stream = client.subscribe("a")
    client.subscribe("a", lambda message: None)
    stream.wait_ready()
    os.write(ready, b"r")
    assert [stream.get().text for _ in range(COUNT)] == [str(number) for number in range(COUNT)]
    os.write(ready, b"d")
    leave()  # with everything open

def wait_for_sigterm():
    while True:
        signal.pause()

def wait_in_the_engine():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(8))
    with fanwire.Client(url) as another, another.subscribe("b") as stream:
        stream.wait_ready()
        os.write(ready, b"w")
        stream.get()

parent = fanwire.Client(url)
stream = parent.subscribe("a")
stream.wait_ready()
reader, ready = os.pipe()
ways = [
    (lambda: sys.exit(5), None, 5),
    (lambda: os._exit(6), None, 6),
    (wait_for_sigterm, signal.SIGTERM, -signal.SIGTERM),
    (wait_in_the_engine, signal.SIGTERM, 8),
]
children = []
for leave, _, _ in ways:
    child = os.fork()
    if child == 0:
        worker(leave)
        sys.exit(99)
    children.append(child)

def hear(count):
    heard = b""
    while len(heard) < count:
        heard += os.read(reader, 1)
    return sorted(heard)

assert hear(4) == sorted(b"rrrr")
for number in range(COUNT):
    assert parent.publish("a", str(number)) == 5
assert hear(5) == sorted(b"ddddw")
for child, (_, number, code) in zip(children, ways):
    if number is not None:
        os.kill(child, number)
    assert end_of(child) == code, (code, child)
assert [stream.get().text for _ in range(COUNT)] == [str(number) for number in range(COUNT)]
parent.publish("a", "after them")
print(stream.get().text, undisturbed(parent))
parent.close()
""",
        redis.url,
        stdout="after them True\n",
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(redis, method):
    run_forking(
        f"""
import multiprocessing

def work(url, inherited, ready, results):
    if inherited is not None:  # only by fork
        assert refused(lambda: inherited.publish("a", "x"))
    with fanwire.Client(url) as own, own.subscribe("a") as stream:
        stream.wait_ready()
        ready.release()
        results.put([stream.get().text for _ in range(50)])

def main():
    context = multiprocessing.get_context({method!r})
    ready, results = context.Semaphore(0), context.Queue()
    with fanwire.Client(url) as client, client.subscribe("a") as stream:
        stream.wait_ready()
        inherited = client if {method!r} == "fork" else None
        workers = [context.Process(target=work, args=(url, inherited, ready, results)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for _ in workers:
            ready.acquire()
        texts = [str(number) for number in range(50)]
        for text in texts:
            assert client.publish("a", text) == 4
        assert [results.get() for _ in workers] == [texts] * 3
        for worker in workers:
            worker.join()
        assert [stream.get().text for _ in texts] == texts
        print([worker.exitcode for worker in workers], undisturbed(client))

if __name__ == "__main__":
    main()
""",
        redis.url,
        stdout="[0, 0, 0] True\n",
    )


def test_a_pool_of_processes(redis):
    run_forking(
        """
import concurrent.futures, multiprocessing

own = None

def work(number):
    global own
    if own is None:
        own = fanwire.Client(url)  # left open: the pool ends it
    return own.publish("a", str(number))

if __name__ == "__main__":
    client = fanwire.Client(url)
    stream = client.subscribe("a")
    stream.wait_ready()
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
        assert list(pool.map(work, range(60))) == [1] * 60
    print(sorted(int(stream.get().text) for _ in range(60)) == list(range(60)), undisturbed(client))
    client.close()
""",
        redis.url,
        stdout="True True\n",
    )


def test_fork_within_a_running_event_loop(url):
    """The child has the parent's epoll descriptor too: what it does with its copies must not reach the parent's."""
    run_forking(
        """
async def use_own():
    async with fanwire.connect(url) as own:
        stream = own.subscribe("own")
        await stream.ready
        assert await own.publish("own", "x") == 1
        assert (await anext(stream)).text == "x"

def finish(coroutine):  # of things that need no event loop
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")

def child(bus, stream):
    calls = [
        lambda: bus.publish_nowait("a", "x"),
        lambda: bus.subscribe("a"),
        lambda: bus.subscribe("a", print),
        lambda: bus.set_credentials(None, None),
        lambda: bus.health(),
        lambda: bus.connected,
        lambda: finish(bus.publish("a", "x")),
        lambda: finish(stream.ready.__await__()),
        lambda: stream.unsubscribe(),
        lambda: stream.state,
    ]
    failed = [index for index, call in enumerate(calls) if not refused(call)]
    assert not failed, failed
    bus._on_readable()  # as the event loop would; it takes no wake-up from the parent
    finish(bus.close())
    asyncio.run(use_own())
    del bus, stream
    gc.collect()
    return 7

async def main():
    handled = []
    async with fanwire.connect(url) as bus:
        async def handler(message):
            handled.append(message.text)

        bus.subscribe("a", lambda message: handled.append(message.text))
        bus.subscribe("a", handler)
        stream = bus.subscribe("a")
        await stream.ready
        for number in range(20):
            # Messages that wait: their wake-up is readable in both processes.
            bus.publish_nowait("a", str(number))
            assert end_of(in_child(lambda: child(bus, stream))) == 7
            assert (await anext(stream)).text == str(number)
        while len(handled) < 40:
            await asyncio.sleep(0)
        print(undisturbed(bus))

asyncio.run(main())
""",
        url,
        stdout="True\n",
    )


def test_programs_that_are_started_inherit_no_descriptor(redis):
    run_forking(
        """
import subprocess

with fanwire.Client(url, on_event=lambda event: None) as client:
    client.subscribe("a", lambda message: None).wait_ready()
    started = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True)
    print([line for line in started.stdout.splitlines() if "socket:" in line or "eventfd" in line])
""",
        redis.url,
        stdout="[]\n",
    )


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython has them")
def test_a_subinterpreter_is_told_what_it_cannot_have(memory_url):
    done = run(
        """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

reader, writer = os.pipe()
subinterpreter = interpreters.create()
for _ in range(2):
    interpreters.run_string(subinterpreter, f'''
import os
try:
    import fanwire
    text = "imported"
except ImportError as error:
    text = str(error)
os.write({writer}, text.encode() + b"\\\\n")
''')
interpreters.destroy(subinterpreter)
os.close(writer)
with os.fdopen(reader) as told:
    print(told.read(), end="")
with fanwire.Client(url) as client:  # undisturbed
    print(client.publish("a", "x"))
""",
        memory_url,
    )
    *told, published = done.stdout.splitlines()
    assert published == "0" and len(told) == 2, done.stdout + done.stderr
    assert all("interpreter" in text and "imported" not in text for text in told), told
    assert done.stderr == ""
