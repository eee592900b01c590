"""The package as such: version, dependencies, settings."""

import importlib.metadata
import pathlib
import re

import fanwire
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_version_is_the_engines():
    project = re.search(r"project\(fanwire VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert fanwire.__version__ == project[1] == importlib.metadata.version("fanwire")


def test_dependencies():
    assert {"hiredis", "libevent", "openssl"} <= set(fanwire.dependencies())
    assert all(re.match(r"\d+\.\d+", version) for version in fanwire.dependencies().values())


def test_the_table_of_settings():
    by_name = {setting.name: setting for setting in fanwire.settings()}
    assert by_name["port"].default == "6379" and by_name["port"].range == "1..65535"
    assert by_name["password"].secret
    assert all(setting.help for setting in by_name.values())
    assert set(fanwire.effective_settings()) == set(by_name)


def test_precedence(monkeypatch):
    monkeypatch.setenv("FANWIRE_NAMESPACE", "environment")
    assert fanwire.effective_settings()["namespace"] == "environment"
    assert fanwire.effective_settings("redis://h?namespace=url")["namespace"] == "url"
    assert fanwire.effective_settings("redis://h?namespace=url", namespace="option")["namespace"] == "option"
    assert fanwire.effective_settings(namespace=None)["namespace"] == "environment"


def test_passwords_are_hidden(memory_url):
    shown = fanwire.effective_settings("redis://u:hunter2@h", password="hunter3")
    assert shown["password"] == "***"
    assert "hunter" not in str(shown)


async def test_reprs(memory_url):
    async with fanwire.connect(memory_url) as bus:
        assert repr(bus) == f"<fanwire.Bus '{memory_url}', connected>"
        stream = bus.subscribe("a")
        await stream.ready
        assert repr(stream) == "<fanwire.Stream of channel 'a', active>"
        assert repr(bus.psubscribe("a*", print)).startswith("<fanwire.Subscription of pattern 'a*', ")
    assert repr(bus) == f"<fanwire.Bus '{memory_url}', closed>"


@pytest.mark.parametrize("name", fanwire.__all__)
def test_everything_public_is_there_and_documented(name):
    assert getattr(fanwire, name) is not None
    if name not in ("__version__",):
        assert getattr(fanwire, name).__doc__
