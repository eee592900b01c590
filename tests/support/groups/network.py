"""Network namespaces of a group's own: one for each node, joined by a bridge in one more, and a link to where we are.

None of them has a name: the kernel takes a namespace away, and with it its ends of all links, when the last descriptor of
it is closed. So nothing is left even of a group that was killed.

A cut between two is a neighbour's address that nobody has, on both sides: packets are lost without a word, as on a broken
line, and links that were up before hang.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess

from .node import GroupError, die_with_parent

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_NOBODY = "02:00:00:00:00:01"
HOST = "host"  # the name of where the group's process and its clients are


def _new_namespace() -> int:
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise GroupError(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
        try:
            return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            if _libc.setns(here, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(here)


def _ip(namespace: int | None, *words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=False,
                          preexec_fn=lambda: die_with_parent(namespace))  # fmt: skip
    if done.returncode != 0:
        raise GroupError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """`link`: the end that is here, by name. To be closed, so that it is gone at once rather than soon."""

    def __init__(self) -> None:
        self._namespaces: dict[str, int | None] = {HOST: None}
        self._addresses: dict[str, str] = {}
        self._cuts: set[frozenset[str]] = set()
        self._prefix = self._free_prefix()
        self.link = f"fw{random.randrange(16**8):08x}"
        self._hub = _new_namespace()
        _ip(self._hub, "link", "add", "bridge", "type", "bridge")
        _ip(self._hub, "link", "set", "bridge", "up")
        self._attach(HOST, None, self.link, 1)

    @staticmethod
    def _free_prefix() -> str:
        taken = _ip(None, "-4", "addr", "show") + _ip(None, "-4", "route", "show", "table", "all")
        prefixes = [f"10.{a}.{b}." for a in range(200, 255) for b in range(256)]
        random.shuffle(prefixes)
        return next(prefix for prefix in prefixes if prefix not in taken)

    def add(self, name: str) -> tuple[int, str]:
        """Returns the new node's namespace and its address."""
        namespace = self._namespaces[name] = _new_namespace()
        _ip(namespace, "link", "set", "lo", "up")
        return namespace, self._attach(name, namespace, "eth0", len(self._namespaces))

    def _attach(self, name: str, namespace: int | None, link: str, number: int) -> str:
        address = self._addresses[name] = f"{self._prefix}{number}"
        where = f"/proc/{os.getpid()}/" + ("ns/net" if namespace is None else f"fd/{namespace}")
        _ip(self._hub, "link", "add", f"port{number}", "type", "veth", "peer", "name", link, "netns", where)
        _ip(self._hub, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip(namespace, "addr", "add", f"{address}/24", "dev", link)
        _ip(namespace, "link", "set", link, "up")
        return address

    def cut(self, one: str, other: str) -> None:
        self._change(one, other, "replace", "lladdr", _NOBODY, "nud", "permanent")
        self._cuts.add(frozenset((one, other)))

    def heal(self, one: str, other: str) -> None:
        if frozenset((one, other)) in self._cuts:
            self._change(one, other, "del")
            self._cuts.discard(frozenset((one, other)))

    def heal_all(self) -> None:
        for cut in list(self._cuts):
            self.heal(*cut)

    def _change(self, one: str, other: str, *words: str) -> None:
        for here, there in ((one, other), (other, one)):
            if here not in self._namespaces or there not in self._addresses:
                raise GroupError(f"there is no {here} or no {there}")
            link = self.link if here == HOST else "eth0"
            _ip(self._namespaces[here], "neigh", words[0], self._addresses[there], *words[1:], "dev", link)

    def close(self) -> None:
        try:
            _ip(self._hub, "link", "del", "port1")  # takes the end that is here with it
        except GroupError:
            pass
        for namespace in (*self._namespaces.values(), self._hub):
            if namespace is not None:
                os.close(namespace)
        self._namespaces.clear()
