"""A cluster of three masters with a replica each."""

from __future__ import annotations

import itertools

from .group import Group
from .node import GroupError, Node, wait_until

SLOTS = 16384
PATIENCE_OF_MIGRATE_S = 20.0


def crc16(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def tag_of(slot: int) -> str:
    """A short word whose keys, as "{word}...", are in that slot."""
    return next(str(i) for i in itertools.count() if crc16(str(i).encode()) % SLOTS == slot)


class Cluster(Group):
    """Nodes: redis0 to redis5; redis0, redis1 and redis2 begin as masters, redis3 as redis0's replica and so on."""

    kind = "cluster"

    def _build(self) -> None:
        for i in range(6):
            self._start_node(f"redis{i}")
        nodes = list(self.nodes.values())
        masters = nodes[:3]
        for i, master in enumerate(masters):
            master.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1)
            master.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in nodes[1:]:
            self._meet(node)
        wait_until("all nodes know each other", lambda: all(len(self._lines(node)) == 6 for node in nodes))
        for i, replica in enumerate(nodes[3:]):
            self._replicate(replica, masters[i])
        wait_until("the cluster is up", self._is_up)

    def _start_node(self, name: str) -> Node:
        return self._start_new(
            name, "cluster-enabled yes", "cluster-config-file nodes.conf", f"cluster-node-timeout {self.wishes.timeout_ms}",
            # Replicas may always stand for election, and none changes its master by itself.
            "cluster-replica-validity-factor 0", "cluster-allow-replica-migration no",
            *(["tls-cluster yes"] if self.wishes.tls else []), bus=True,
        )  # fmt: skip

    def _meet(self, node: Node) -> None:
        first = next(other for other in self.nodes.values() if other is not node and self._is_well(other))
        bus = next(line.split()[1].split("@")[1].split(",")[0] for line in self._lines(first) if "myself" in line)
        node.call("CLUSTER", "MEET", first.ip, first.port, bus)

    def _replicate(self, replica: Node, master: Node) -> None:
        """It must have heard of the master first."""
        wait_until(f"{replica.name} follows {master.name}",
                   lambda: replica.call("CLUSTER", "REPLICATE", self.id_of(master)) == "OK")  # fmt: skip
        wait_until(f"{replica.name} is in step", lambda: replica.info("replication").get("master_link_status") == "up")

    @staticmethod
    def _lines(node: Node) -> list[str]:
        return [line for line in node.call("CLUSTER", "NODES").splitlines() if line and "handshake" not in line]

    @staticmethod
    def _is_well(node: Node) -> bool:
        return node.pid is not None and not node.is_paused

    def _well(self) -> list[Node]:
        return [node for node in self.nodes.values() if self._is_well(node)]

    def _is_up(self) -> bool:
        """In the eyes of all that run: all slots served, and each of the others known in its role."""
        views = set()
        for node in self._well():
            if "cluster_state:ok" not in node.call("CLUSTER", "INFO"):
                return False
            views.add(tuple(sorted((line.split()[0], line.split()[2].replace("myself,", ""), line.split()[3])
                                   for line in self._lines(node) if "fail" not in line.split()[2])))  # fmt: skip
        return len(views) == 1

    def url(self) -> str:
        return self._url("redis-cluster", self.nodes.values())

    @staticmethod
    def id_of(node: Node) -> str:
        return node.call("CLUSTER", "MYID")

    def _named(self, node_id: str) -> Node:
        for node in self._well():
            if self.id_of(node) == node_id:
                return node
        raise GroupError(f"no running node has the id {node_id}")

    # ---- Scenarios -------------------------------------------------------------------------------------------------

    def owner(self, slot: str | int, seen_by: str = "") -> str:
        """Who has that slot, as the first node that runs sees it, or that one."""
        observers = [self.node(seen_by)] if seen_by else self._well()
        for first, last, master, *_ in observers[0].call("CLUSTER", "SLOTS"):
            if first <= int(slot) <= last:
                return self.at(master[0], master[1]).name
        raise GroupError(f"nobody has slot {slot}")

    def wait_up(self) -> None:
        """Waits until all nodes that run agree, and all slots are served."""
        wait_until("the cluster is up", self._is_up)

    def wait_master(self, *but: str) -> list[str]:
        """Waits until the nodes that run agree that some of them serve all slots, but none of these. Returns the masters."""

        def masters():
            found = [node.name for node in self._well() if self.role_of(node) == "master"]
            # Until the silence of a node counts, all agree that it serves its slots.
            serving = {self.at(*entry[2][:2]).name for entry in self._well()[0].call("CLUSTER", "SLOTS")}
            return self._is_up() and serving <= set(found) - set(but) and found

        return wait_until("a master is elected", masters)

    def replicas(self, name: str) -> list[str]:
        master = self.id_of(self.node(name))
        lines = (line.split() for line in self._lines(self.node(name)))
        return [self._named(words[0]).name for words in lines if words[3] == master and "fail" not in words[2]]

    def failover(self, name: str, how: str = "") -> str:
        """A replica takes that master's place: nicely, or with FORCE or TAKEOVER. Returns the new one."""
        replicas = self.replicas(name)
        if not replicas:
            raise GroupError(f"{name} has no replica that runs")
        replica = self.nodes[replicas[0]]

        def promoted() -> bool:
            if self.role_of(replica) == "master":
                return True
            replica.call("CLUSTER", "FAILOVER", *([how] if how else []))
            return wait_until(f"{replica.name} is the master", lambda: self.role_of(replica) == "master", 6.0)

        wait_until(f"{replica.name} takes over", promoted)
        self.wait_up()
        return replica.name

    def fill(self, slot: str | int, count: str | int) -> str:
        """So many keys in that slot. Returns the hash tag that leads there."""
        tag = tag_of(int(slot))
        with self.nodes[self.owner(slot)].connect() as connection:
            for i in range(int(count)):
                connection.call("SET", f"{{{tag}}}:{i}", "x" * 64)
        return tag

    def open(self, slot: str | int, to: str) -> None:
        """The first half of a move by hand: the slot is importing at `to` and migrating at its owner."""
        source, target = self.nodes[self.owner(slot)], self.node(to)
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))

    def move_keys(self, slot: str | int, to: str, at_once: str | int = 10) -> int:
        """Of an open slot: the keys, all of them. Returns how many there were."""
        source, target = self.nodes[self.owner(slot)], self.node(to)
        login = ["AUTH", self.wishes.password] if self.wishes.password else []
        moved = 0
        with source.connect(PATIENCE_OF_MIGRATE_S) as connection:
            while keys := connection.call("CLUSTER", "GETKEYSINSLOT", slot, at_once):
                connection.call("MIGRATE", target.ip, target.port, "", 0, 10000, *login, "KEYS", *keys)
                moved += len(keys)
        return moved

    def finish(self, slot: str | int, to: str) -> None:
        """The end of a move by hand: first `to`, then the former owner, then the other masters are told."""
        target, source = self.node(to), self.nodes[self.owner(slot)]
        others = [node for node in self._well() if node not in (target, source) and self.role_of(node) == "master"]
        for node in (target, source, *others):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))
        wait_until(f"all know that {to} has slot {slot}",
                   lambda: all(self.owner(slot, node.name) == to for node in self._well()))  # fmt: skip

    def migrate(self, slot: str | int, to: str) -> int:
        """By hand, with its keys if it has any. Returns how many."""
        self.open(slot, to)
        moved = self.move_keys(slot, to)
        self.finish(slot, to)
        return moved

    def migrate_atomic(self, first: str | int, last: str | int, to: str) -> None:
        """As Valkey 9 and Redis 8.4 do it by themselves; these slots must have one owner."""
        source, target = self.nodes[self.owner(first)], self.node(to)
        if self.server()[0] == "valkey":
            source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", self.id_of(target))
        else:
            target.call("CLUSTER", "MIGRATION", "IMPORT", first, last)
        wait_until(f"all know that {to} has the slots",
                   lambda: all(self.owner(slot, node.name) == to for node in self._well() for slot in (first, last)))  # fmt: skip

    def add(self, name: str, master: str = "") -> dict[str, object]:
        """A new node: an empty master, or a replica of that one."""
        if name in self.nodes:
            raise GroupError(f"there is a node {name} already")
        node = self._start_node(name)
        self._meet(node)
        if master:
            self._replicate(node, self.node(master))
        self.wait_up()
        return {"host": node.ip, "port": node.port, "pid": node.pid, "role": self.role_of(node)}

    def remove(self, name: str) -> None:
        """For good, so that all forget it. A master must have no slots."""
        node = self.node(name)
        if node.pid is not None:
            node_id = self.id_of(node)
            mine = next(line.split() for line in self._lines(node) if "myself" in line.split()[2])
            if len(mine) > 8:
                raise GroupError(f"{name} has slots: {' '.join(mine[8:])}")
        else:
            node_id = next(line.split()[0] for line in self._lines(self._well()[0])
                           if line.split()[1].startswith(f"{node.ip}:{node.port}@"))  # fmt: skip
        node.kill()
        del self.nodes[name]
        for other in self._well():
            other.call("CLUSTER", "FORGET", node_id)
        wait_until(f"all have forgotten {name}",
                   lambda: all(node_id not in other.call("CLUSTER", "NODES") for other in self._well()))  # fmt: skip
