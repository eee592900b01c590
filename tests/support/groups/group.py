"""What all kinds of groups have: where they live, their nodes, the wishes that fit each, and an end."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import ssl
import subprocess
import tempfile

from .network import HOST, Network
from .node import GroupError, Node, free_ports

CERTIFICATES = pathlib.Path(__file__).resolve().parent.parent / "certificates.sh"


@dataclasses.dataclass
class Wishes:
    """How a group is to be. `server`: a folder that has redis-server, or "" for the one on PATH."""

    server: str = ""
    tls: bool = False
    password: str = ""  # of the user "default", everywhere
    users: tuple[str, ...] = ()  # as in `user ...` of redis.conf: "app on >secret ~* &* +@all"
    namespaces: bool = False
    timeout_ms: int = 1000  # until a silent node counts as down: cluster-node-timeout, down-after-milliseconds
    settings: tuple[str, ...] = ()  # more lines for each server's redis.conf


class Group:
    """One redis-server; the other kinds derive from this. Close it, or use it as a context."""

    kind = "single"

    def __init__(self, wishes: Wishes | None = None) -> None:
        self.wishes = wishes or Wishes()
        self.nodes: dict[str, Node] = {}
        self._network: Network | None = None
        self._tls: ssl.SSLContext | None = None
        self._program = self._find_program()
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="fanwire-group."))
        # However this process ends, the folder goes; its servers go by themselves (die_with_parent).
        self._remover = subprocess.Popen(
            ["sh", "-c", 'cat >/dev/null; for i in 1 2 3 4 5; do rm -rf "$0" && sleep 0.1; done', str(self._folder)],
            stdin=subprocess.PIPE, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if self.wishes.tls:
                self._make_certificates()
            if self.wishes.namespaces:
                self._network = Network()
            self._build()
            self._server = self._ask_server()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all, at once; returns when nothing is left."""
        for node in self.nodes.values():
            node.kill()
        if self._network is not None:
            self._network.close()
            self._network = None
        shutil.rmtree(self._folder, ignore_errors=True)
        self._remover.kill()
        self._remover.wait()
        if self._remover.stdin:
            self._remover.stdin.close()

    def _find_program(self) -> str:
        program = shutil.which("redis-server", path=self.wishes.server or None)
        if program is None:
            raise GroupError(f"there is no redis-server in {self.wishes.server or 'PATH'}")
        return program

    def _make_certificates(self) -> None:
        folder = self._folder / "certificates"
        subprocess.run([CERTIFICATES, folder], check=True, capture_output=True, timeout=60)
        self._tls = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self._tls.check_hostname = False  # in a namespace a node has an address that no certificate is for

    # ---- Building -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._start_new("redis")

    def _start_new(self, name: str, *settings: str, sentinel: bool = False, bus: bool = False) -> Node:
        """Somebody may take a port between finding and using it: then others."""
        for attempt in range(5):
            node = self._new_node(name, list(settings), sentinel, bus)
            try:
                node.start()
            except Exception:
                node.kill()
                # What was wrong otherwise is wrong again.
                if attempt == 4 or self._network is not None or "in use" not in (node.folder / "log").read_text():
                    raise
                shutil.rmtree(node.folder)
            else:
                return node
        raise AssertionError

    def _new_node(self, name: str, settings: list[str], sentinel: bool, bus: bool) -> Node:
        namespace, ip = (None, "127.0.0.1") if self._network is None else self._network.add(name)
        port, bus_port = free_ports(2)
        lines = [f"bind {ip}" + ("" if namespace is None else " 127.0.0.1"), "protected-mode no", *self._tls_lines(port),
                 *(f"user {user}" for user in self.wishes.users)]  # fmt: skip
        if bus:
            lines.append(f"cluster-port {bus_port}")
        if self.wishes.password:
            lines.append(f"requirepass {self.wishes.password}")
        if not sentinel:
            lines += ['save ""', "appendonly no", "repl-diskless-sync-delay 0"]
            lines += [f"masterauth {self.wishes.password}"] if self.wishes.password else []
            lines += self.wishes.settings
        node = Node(name, self._folder, self._program, ip, port, [*lines, *settings], password=self.wishes.password,
                    tls=self._tls, namespace=namespace, sentinel=sentinel)  # fmt: skip
        self.nodes[name] = node
        return node

    def _tls_lines(self, port: int) -> list[str]:
        if not self.wishes.tls:
            return [f"port {port}"]
        folder = self._folder / "certificates"
        return ["port 0", f"tls-port {port}", f"tls-cert-file {folder}/server.pem", f"tls-key-file {folder}/server.key",
                f"tls-ca-cert-file {folder}/ca.pem", "tls-auth-clients no", "tls-replication yes"]  # fmt: skip

    # ---- Asking ---------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        if name not in self.nodes:
            raise GroupError(f"there is no node {name!r}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def at(self, ip: str, port: int) -> Node:
        for node in self.nodes.values():
            if (node.ip, node.port) == (ip, int(port)):
                return node
        raise GroupError(f"no node is at {ip}:{port}")

    def role_of(self, node: Node) -> str:
        """"master", "replica" or "sentinel"; "down" when it does not answer, or not in time."""
        if node.pid is None or node.is_paused:
            return "down"
        try:
            return {"slave": "replica"}.get(role := node.call("ROLE")[0], role)
        except (OSError, GroupError):
            return "down"

    def describe(self) -> dict[str, object]:
        """As JSON."""
        return {
            "kind": self.kind,
            "server": self.server(),
            "nodes": {name: {"host": node.ip, "port": node.port, "pid": node.pid, "role": self.role_of(node)}
                      for name, node in self.nodes.items()},
            "password": self.wishes.password or None,
            "ca": str(self._folder / "certificates" / "ca.pem") if self.wishes.tls else None,
            "url": self.url(),
            "folder": str(self._folder),
            "link": self._network.link if self._network is not None else None,
        }  # fmt: skip

    def url(self) -> str:
        return self._url("redis", self.nodes.values())

    def _url(self, scheme: str, nodes, rest: str = "") -> str:
        scheme = scheme.replace("redis", "rediss", 1) if self.wishes.tls else scheme
        login = f":{self.wishes.password}@" if self.wishes.password else ""
        return f"{scheme}://{login}" + ",".join(f"{node.ip}:{node.port}" for node in nodes) + rest

    def server(self) -> list[str]:
        """["redis", "8.2.3"], ["valkey", "9.1.2"]."""
        return self._server

    def _ask_server(self) -> list[str]:
        """Valkey also says which Redis it is compatible with."""
        facts = next(iter(self.nodes.values())).info("server")
        return ["valkey", facts["valkey_version"]] if "valkey_version" in facts else ["redis", facts["redis_version"]]

    # ---- Scenarios: each returns what is printed as JSON -----------------------------------------------------------

    def kill(self, name: str) -> None:
        self.node(name).kill()

    def pause(self, name: str) -> None:
        self.node(name).pause()

    def resume(self, name: str) -> None:
        self.node(name).resume()

    def restart(self, name: str) -> int | None:
        """Kills it if it runs. The port is the same, the data are gone. Returns its process."""
        node = self.node(name)
        node.kill()
        node.start()
        return node.pid

    def call(self, name: str, *words: str):
        """Any command, to a node."""
        return self.node(name).call(*words)

    def cut(self, one: str, other: str) -> None:
        """No packet passes between two nodes, or a node and "host": all that is outside."""
        for name in (one, other):
            if name != HOST:
                self.node(name)
        self._needs_network().cut(one, other)

    def heal(self, *names: str) -> None:
        """The cut between two, or all."""
        if len(names) not in (0, 2):
            raise GroupError("heal takes two names, or none")
        self._needs_network().heal(*names) if names else self._needs_network().heal_all()

    def _needs_network(self) -> Network:
        if self._network is None:
            raise GroupError("only a group in network namespaces can be cut (--namespaces)")
        return self._network
