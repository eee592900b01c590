"""Real groups of servers for tests: one Redis, a master with replicas and sentinels, a cluster.

From Python: `with groups.Cluster(groups.Wishes(tls=True)) as cluster: cluster.kill("redis0")`. Servers end with the thread that
started them: start a group from one that lives as long. From all else, and from Python too: the command (__main__.py).
"""

from .cluster import Cluster, tag_of
from .group import Group, Wishes
from .node import GroupError, NotStarted, wait_until
from .sentinel import SentinelGroup

KINDS = {kind.kind: kind for kind in (Group, SentinelGroup, Cluster)}

__all__ = ["KINDS", "Cluster", "Group", "GroupError", "NotStarted", "SentinelGroup", "Wishes", "tag_of", "wait_until"]
