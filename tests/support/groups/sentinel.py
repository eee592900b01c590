"""A master, two replicas and three sentinels."""

from __future__ import annotations

import collections

from .group import Group
from .node import GroupError, Node, wait_until

MASTER = "mymaster"


class SentinelGroup(Group):
    """Nodes: redis0, redis1, redis2 (redis0 begins as the master); sentinel0, sentinel1, sentinel2."""

    kind = "sentinel"

    def _build(self) -> None:
        first = self._start_new("redis0")
        for i in (1, 2):
            self._start_new(f"redis{i}", f"replicaof {first.ip} {first.port}")
        wait_until("replicas are in step", lambda: all(self._is_in_step(node) for node in self._servers()[1:]))
        settings = [f"sentinel monitor {MASTER} {first.ip} {first.port} 2",
                    f"sentinel down-after-milliseconds {MASTER} {self.wishes.timeout_ms}",
                    f"sentinel failover-timeout {MASTER} {max(3000, self.wishes.timeout_ms * 3)}"]  # fmt: skip
        if self.wishes.password:
            settings += [f"sentinel auth-pass {MASTER} {self.wishes.password}", f"sentinel sentinel-pass {self.wishes.password}"]
        for i in range(3):
            self._start_new(f"sentinel{i}", *settings, sentinel=True)
        wait_until("sentinels know all", lambda: all(self._knows_all(node) for node in self._sentinels()))

    def _servers(self) -> list[Node]:
        return [node for name, node in self.nodes.items() if name.startswith("redis")]

    def _sentinels(self) -> list[Node]:
        return [node for name, node in self.nodes.items() if name.startswith("sentinel")]

    @staticmethod
    def _is_in_step(node: Node) -> bool:
        return node.info("replication").get("master_link_status") == "up"

    def _knows_all(self, sentinel: Node) -> bool:
        flat = sentinel.call("SENTINEL", "MASTER", MASTER)
        state = dict(zip(flat[::2], flat[1::2]))
        return (int(state["num-slaves"]) == len(self._servers()) - 1 and state["flags"] == "master"
                and int(state["num-other-sentinels"]) == len(self._sentinels()) - 1)  # fmt: skip

    def url(self) -> str:
        return self._url("redis-sentinel", self._sentinels(), f"?sentinels={MASTER}")

    def master(self) -> str:
        """Whom most of the sentinels that answer name, and who says so himself."""
        names = collections.Counter()
        for sentinel in self._sentinels():
            if sentinel.pid is not None and not sentinel.is_paused:
                address = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                names[self.at(*address).name] += 1
        if not names or names.most_common(1)[0][1] < 2:
            raise GroupError(f"no two sentinels agree: {dict(names)}")
        name = names.most_common(1)[0][0]
        if self.role_of(self.nodes[name]) != "master":
            raise GroupError(f"{name}, which the sentinels name, is not a master")
        return name

    def wait_master(self, *but: str) -> str:
        """Waits until there is a master that is none of these, and says which."""
        return wait_until("a master is elected", lambda: (name := self.master()) not in but and name)

    def failover(self) -> str:
        """By the sentinels, of a master that is well. Returns the new one."""
        before = self.master()
        # Right after the start, or another failover, a sentinel may find no replica that is good enough yet.
        wait_until("a sentinel begins a failover",
                   lambda: self._sentinels()[0].call("SENTINEL", "FAILOVER", MASTER) == "OK")  # fmt: skip
        return self.wait_master(before)
