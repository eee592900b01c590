"""Servers that load the application and then fork: gunicorn with preload_app, and the pool of Celery."""

import http.client
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import fanwire
from child import run
from conftest import DEADLINE_S, until_blocking
from redis_server import free_port

APPLICATION = """
import os, threading
import fanwire

preloaded = fanwire.Client(os.environ["REDIS_URL"])      # of the master
handled = []
preloaded.subscribe("work", lambda message: handled.append(message.text))
stream = preloaded.subscribe("work")
stream.wait_ready()

own = None
lock = threading.Lock()

def answer(path):
    global own
    if path == "/preloaded":
        return preloaded.publish("work", "x")
    if path == "/receive":
        return next(stream)
    if path == "/own":
        with lock:
            own = own or fanwire.Client(os.environ["REDIS_URL"])  # left open: the worker ends with it
        return own.publish("work", str(os.getpid()))
    return "up"

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        return [f"{os.getpid()} {answer(environ['PATH_INFO'])}".encode()]
    except fanwire.FanwireError as error:
        return [f"{os.getpid()} {type(error).__name__}: {error}".encode()]
"""


class Gunicorn:
    def __init__(self, folder, url, *options):
        pathlib.Path(folder, "service.py").write_text(APPLICATION)
        self.port = free_port()
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "gunicorn", "--bind"]
        command += [f"127.0.0.1:{self.port}", "--no-control-socket", "--workers", "2", *options, "service:application"]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "REDIS_URL": url, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            worker, _, text = connection.getresponse().read().decode().partition(" ")
            return int(worker), text
        finally:
            connection.close()

    def is_up(self):
        assert self.process.poll() is None, self.process.communicate()[0]
        try:
            return self.get("/")[1] == "up"
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=DEADLINE_S)[0]
        return self.process.returncode, output


def test_gunicorn_with_preload_app(redis, tmp_path):
    """What the master has opened is refused by name in the workers, which open their own; the master's go on."""
    with fanwire.Client(redis.url) as client, client.subscribe("work") as stream:
        stream.wait_ready()
        server = Gunicorn(tmp_path, redis.url, "--preload", "--threads", "2")
        try:
            until_blocking(server.is_up)
            refused, published = {}, {}

            def both_have_answered():
                for path in ("/preloaded", "/receive"):
                    worker, text = server.get(path)
                    assert text.startswith("ForkedError: "), text
                    refused[worker] = text
                worker, text = server.get("/own")
                assert text == "2", text  # the master's connection, and ours
                published.setdefault(worker, text)
                return len(refused) == len(published) == 2

            until_blocking(both_have_answered)
            assert set(refused) == set(published) and server.process.pid not in published
            pids = {stream.get(DEADLINE_S).text for _ in published}
            assert pids <= {str(worker) for worker in published}
            os.kill(next(iter(published)), signal.SIGKILL)  # another worker comes from the same master
            until_blocking(lambda: server.get("/own")[0] not in published)
        finally:
            status, output = server.stop()
        assert status == 0, output
        assert "Traceback" not in output and "Fatal" not in output, output


def test_a_pool_of_celery(redis):
    """billiard's, which forks as Celery's prefork pool does, and ends its processes in a way of its own."""
    done = run(
        """
import billiard

own = None

def inherited(number):
    try:
        return client.publish("work", "x")
    except fanwire.ForkedError as error:
        return "refused"

def work(number):
    global own
    if own is None:
        own = fanwire.Client(url)  # left open: the pool ends it
    return own.publish("work", str(number))

def wait_in_the_engine():
    with fanwire.Client(url) as another, another.subscribe("nothing") as waiting:
        waiting.get()

if __name__ == "__main__":
    client = fanwire.Client(url)
    stream = client.subscribe("work")
    stream.wait_ready()
    pool = billiard.Pool(3)
    print(set(pool.map(inherited, range(12))), set(pool.map(work, range(60))))
    print(sorted(int(stream.get().text) for _ in range(60)) == list(range(60)))
    pool.close()
    pool.join()
    workers = [billiard.Process(target=wait_in_the_engine) for _ in range(2)]
    for worker in workers:
        worker.start()
    while client.numsub(["nothing"]) != [2]:
        pass
    for worker in workers:
        worker.terminate()  # in the middle of a wait
        worker.join()
    print([worker.exitcode for worker in workers])
    stats = client.stats()
    print(stats["connects"], stats["disconnects"])
    client.close()
""",
        redis.url,
        options=("-W", "ignore::DeprecationWarning"),
    )
    assert (done.stdout, done.stderr) == ("{'refused'} {1}\nTrue\n[-15, -15]\n1 0\n", "")


def test_a_pool_of_celery_that_is_terminated(redis):
    """Its workers end in the middle of a wait. They hold a lock of the pool's meanwhile, and are sent a second signal.

    terminate() itself waits for the results of their tasks, which nobody sends, also when they only sleep.
    """
    done = run(
        """
import billiard

def wait_in_the_engine(number):
    with fanwire.Client(url) as own, own.subscribe("terminated") as waiting:
        waiting.get()

def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

if __name__ == "__main__":
    client = fanwire.Client(url)
    pool = billiard.Pool(3)
    pids = [worker.pid for worker in pool._pool]
    tasks = [pool.apply_async(wait_in_the_engine, (number,)) for number in range(3)]
    while client.numsub(["terminated"]) != [3]:
        pass
    threading.Thread(target=pool.terminate, daemon=True).start()
    while any(map(is_alive, pids)):
        time.sleep(0.01)
    print(len(pids), client.publish("a", "x"), flush=True)
    client.close()
    os._exit(0)
""",
        redis.url,
        options=("-W", "ignore::DeprecationWarning"),
    )
    assert done.stdout == "3 0\n"
