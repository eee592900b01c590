"""What help() shows: each public name says what it is for, and the examples in the texts run."""

import builtins
import doctest
import importlib
import inspect
import pathlib
import pydoc
import subprocess
import sys
import textwrap

import fanwire
import pytest
from conftest import DEADLINE_S

MODULES = ["fanwire", "fanwire.backends", "fanwire.broadcaster", "fanwire.channels", "fanwire.pondsocket", "fanwire.socketio"]


def public_names():
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            if not name.startswith("__"):
                yield pytest.param(getattr(importlib.import_module(module), name), id=f"{module}.{name}")


def own_members(cls):
    """What we define in a class, and not what is there because of what it stands in for."""
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "fanwire" and base.__module__ != "fanwire.backends":
            for name, member in vars(base).items():
                is_callable = inspect.isroutine(member) or isinstance(member, (staticmethod, classmethod))
                if not name.startswith("_") and (is_callable or inspect.isdatadescriptor(member)):
                    yield name


@pytest.mark.parametrize("public", list(public_names()))
def test_each_public_name_is_documented(public):
    if inspect.ismodule(public):
        assert inspect.getdoc(public)
        return
    if not inspect.isclass(public) and not inspect.isroutine(public):
        return  # an object or the name of a type
    if public.__module__.partition(".")[0] == "pondsocket" or "pondsocket_common" in public.__module__:
        return  # PondSocket's own
    assert public.__doc__
    if inspect.isclass(public) and not hasattr(builtins, public.__name__):
        is_data = hasattr(public, "__dataclass_fields__")  # whose fields the text of the class explains
        missing = {
            name for name in own_members(public)
            if not inspect.getdoc(getattr(public, name)) and not (is_data and name in public.__dataclass_fields__)
        }
        assert not missing


@pytest.mark.parametrize("module", MODULES)
def test_help_can_be_shown(module):
    text = pydoc.plain(pydoc.render_doc(module))
    for name in importlib.import_module(module).__all__:
        if inspect.isclass(getattr(importlib.import_module(module), name, None)):
            assert name in text


# What says in seconds how long it waits, and what it raises, in each interface.
WAITING = [
    (fanwire.connect, "Raises"), (fanwire.Bus.publish, "seconds", "TimeoutError", "OutcomeUnknownError"),
    (fanwire.Bus.close, "seconds", "TimeoutError"), (fanwire.Bus.request, "seconds"),
    (fanwire.Client, "Raises", "thread"), (fanwire.Client.publish, "seconds", "TimeoutError"),
    (fanwire.Client.close, "seconds", "TimeoutError"), (fanwire.Client.wait_connected, "seconds", "Raises"),
    (fanwire.Client.request, "seconds"), (fanwire.ClientStream.get, "seconds", "Raises"),
    (fanwire.ClientSubscription.wait_ready, "seconds", "Raises"), (fanwire.Latency.percentile, "microseconds"),
    (fanwire.Bus, "loop", "thread"), (fanwire.Engine, "thread", "loop"),
]


@pytest.mark.parametrize("public, words", [(public, words) for public, *words in WAITING])
def test_what_waits_says_how_long_and_what_it_raises(public, words):
    assert [word for word in words if word not in inspect.getdoc(public)] == []


def examples():
    """Blocks of code in the texts of modules, and what is for doctest."""
    for module in MODULES:
        if module == "fanwire.backends":
            continue  # its block needs a client, and a coroutine around it
        text = inspect.getdoc(importlib.import_module(module))
        code = [line for line in text.splitlines() if line.startswith("    ") or not line]
        if block := textwrap.dedent("\n".join(code)).strip():
            yield pytest.param(block, id=module)


@pytest.mark.parametrize("code", list(examples()))
def test_the_example_of_a_module_runs(redis, code):
    address = redis.url.partition("://")[2]
    for written in ("127.0.0.1:6379", "127.0.0.1"):
        code = code.replace(f'://{written}"', f'://{address}"')
    assert address in code or "redis://" not in code
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * DEADLINE_S, cwd=pathlib.Path(__file__).parent
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_examples_of_functions_run():
    """Those with >>>. They use memory://, or nothing at all."""
    found = {}
    finder = doctest.DocTestFinder(exclude_empty=True)
    for public in (fanwire.open, *(getattr(fanwire, name) for name in fanwire.__all__)):
        if inspect.isclass(public) or inspect.isroutine(public):
            for example in finder.find(public, getattr(public, "__name__", ""), module=fanwire, globs={"fanwire": fanwire}):
                if example.examples:
                    found[example.name] = example
    assert {"open", "connect", "Client", "Engine", "Codec", "Json", "effective_settings"} <= set(found)
    for example in found.values():
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        assert runner.run(example) == (0, len(example.examples)), example.name
