"""The exceptions are the status table, and the stub lists them."""

import ast
import builtins
import pathlib

import fanwire
import pytest
from fanwire import _native

OF_PYTHON = {"WrongLoopError", "DecodeError"}  # what the engine knows nothing of
ROWS = [row for row in _native.status_table() if row[1] != "OK"]


def class_name(status_name):
    return "".join(word.title() for word in status_name.removesuffix("_ERROR").split("_")) + "Error"


@pytest.mark.parametrize("status, name, text, retryable", ROWS)
def test_each_row_has_a_class(status, name, text, retryable):
    cls = getattr(fanwire, class_name(name))
    assert issubclass(cls, fanwire.FanwireError)
    assert (cls.status, cls.name, cls.retryable) == (status, name, retryable)
    assert cls.__name__ in fanwire.__all__
    error = fanwire.errors.make_error(status)
    assert type(error) is cls and str(error) == text
    assert str(fanwire.errors.make_error(status, "the detail")) == "the detail"


def test_there_are_no_other_classes():
    assert len(ROWS) >= 24
    classes = set(fanwire.errors.__all__) - {"FanwireError"}
    assert classes == {class_name(name) for _, name, _, _ in ROWS} | OF_PYTHON


@pytest.mark.parametrize(
    "cls, base",
    [
        (fanwire.NoMemoryError, MemoryError),
        (fanwire.TimeoutError, TimeoutError),
        (fanwire.ConnectFailedError, ConnectionError),
        (fanwire.NoPermissionError, PermissionError),
        (fanwire.InvalidChannelError, ValueError),
    ],
)
def test_builtin_bases(cls, base):
    assert issubclass(cls, base)


def test_the_stub_lists_the_same_classes_with_the_same_bases():
    path = pathlib.Path(fanwire.__file__).with_name("errors.pyi")
    stub = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)}
    assert list(stub) == fanwire.errors.__all__
    exported = [node.value for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    assert [ast.literal_eval(value) for value in exported] == [fanwire.errors.__all__]
    for name, node in stub.items():
        actual = [
            f"builtins.{base.__name__}" if base.__module__ == "builtins" else base.__name__
            for base in getattr(fanwire.errors, name).__bases__
        ]
        listed = [ast.unparse(base) for base in node.bases]
        assert listed == actual or (name == "FanwireError" and listed == ["Exception"])


def test_nothing_hides_a_builtin_by_accident():
    hidden = {name for name in fanwire.__all__ if hasattr(builtins, name)}
    assert hidden == {"TimeoutError", "SystemError"}
