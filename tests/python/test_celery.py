"""Tasks of Celery that publish and subscribe, in the processes of its prefork pool."""

import os
import signal
import subprocess
import sys

import fanwire
import pytest
from conftest import DEADLINE_S, until_blocking

TASKS = """
import os
import celery
import fanwire

URL = os.environ["BROKER_URL"]
app = celery.Celery("tasks", broker=URL, backend=URL)
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
of_the_parent = fanwire.Client(URL) if "IN_WORKER" in os.environ else None
own = None

@app.task
def use_the_parents():
    try:
        return of_the_parent.publish("done", "x")
    except fanwire.ForkedError as error:
        return str(error)

@app.task
def publish(value):
    global own
    own = own or fanwire.Client(URL)  # left open: the process ends with it
    return own.publish("done", value)

@app.task
def wait():
    with fanwire.Client(URL) as client, client.subscribe("go on") as stream:
        text = stream.get().text
        return client.publish("done", text)
"""


@pytest.fixture
def worker(redis, tmp_path, monkeypatch):
    (tmp_path / "celery_tasks.py").write_text(TASKS)
    monkeypatch.setenv("BROKER_URL", f"{redis.url}/3")
    monkeypatch.syspath_prepend(tmp_path)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "celery", "-A", "celery_tasks", "worker"]
    command += ["--concurrency", "2", "--without-mingle", "--without-gossip", "--loglevel", "WARNING"]
    with open(tmp_path / "output", "w+") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT,
                                   env={**os.environ, "IN_WORKER": "1", "PYTHONDONTWRITEBYTECODE": "1"})
        process.output = lambda: (tmp_path / "output").read_text()
        yield process
        if process.poll() is None:
            process.kill()
            process.wait()
    sys.modules.pop("celery_tasks", None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGQUIT"])
def test_tasks(redis, worker, ending):
    """What the parent opened is refused by name, a process opens its own, and a shutdown, warm or cold, comes to its end."""
    import celery_tasks as tasks

    with fanwire.Client(redis.url) as client, client.subscribe("done") as done:
        done.wait_ready()
        refused = [tasks.use_the_parents.delay() for _ in range(4)]
        assert {result.get(timeout=3 * DEADLINE_S) for result in refused} == {
            "opened before a fork: open another one in this process"
        }
        published = [tasks.publish.delay(str(number)) for number in range(30)]
        assert {result.get(timeout=DEADLINE_S) for result in published} == {1}
        assert sorted(int(done.get(DEADLINE_S).text) for _ in published) == list(range(30))
        waiting = tasks.wait.delay()
        until_blocking(lambda: client.numsub(["go on"]) == [1])
        worker.send_signal(getattr(signal, ending))
        if ending == "SIGTERM":
            client.publish("go on", "the last one")  # a warm shutdown waits for it
            assert waiting.get(timeout=DEADLINE_S) == 1
            assert done.get(DEADLINE_S).text == "the last one"
        worker.wait(3 * DEADLINE_S)
        until_blocking(lambda: client.numsub(["go on"]) == [0])
    if ending == "SIGTERM":
        assert worker.returncode == 0, worker.output()
    assert "Fatal" not in worker.output() and "Segmentation" not in worker.output(), worker.output()
