"""Starts a group of servers, prints where they are, and ends them when its input ends or it is signalled.

    python3 tests/support/groups KIND [OPTION...]          KIND: single, sentinel, cluster

Its first line is JSON: the kind, the server and its version, the nodes by name with host, port, pid and role, a URL. Then
each line of its input is a command, and each line of its output the answer: {"ok": RESULT} or {"error": TEXT}. The commands:

    describe                      the first line once more, as it is now
    kill NODE; pause NODE; resume NODE; restart NODE
    call NODE WORD...             any command of Redis
    cut ONE OTHER; heal [ONE OTHER]         with --namespaces; "host" is where this runs
    failover; master; wait_master [BUT...]                                                      sentinel
    failover NODE [FORCE|TAKEOVER]; owner SLOT; replicas NODE; wait_master [BUT...]; wait_up    cluster
    fill SLOT COUNT; migrate SLOT NODE; open SLOT NODE; move_keys SLOT NODE; finish SLOT NODE   cluster
    migrate_atomic FIRST LAST NODE                                                              cluster of Valkey 9, Redis 8.4
    add NAME [MASTER]; remove NODE                                                              cluster

A command that fails leaves the rest as it is. The first line is {"error": TEXT} when the group does not start.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shlex
import signal
import sys

if not __package__:  # started as a folder or as a file
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    __package__ = "groups"

from groups import KINDS, GroupError, NotStarted, Wishes  # noqa: E402

COMMON = ("describe", "kill", "pause", "resume", "restart", "call", "cut", "heal", "wait_master", "failover")
OF_CLUSTER = ("owner", "replicas", "wait_up", "fill", "migrate", "open", "move_keys", "finish", "migrate_atomic", "add", "remove")
COMMANDS = {"single": COMMON[:-2], "sentinel": (*COMMON, "master"), "cluster": COMMON + OF_CLUSTER}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="groups", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--server", default="", metavar="FOLDER", help="the folder of redis-server; else it is found by PATH")
    parser.add_argument("--tls", action="store_true", help="TLS on every link, between the servers too")
    parser.add_argument("--password", default="", help="of the user default, on all")
    parser.add_argument("--user", action="append", default=[], metavar="RULE", help='"app on >secret ~* &* +@all"')
    parser.add_argument("--namespaces", action="store_true", help="each node in a network namespace of its own (as root)")
    parser.add_argument("--timeout-ms", type=int, default=1000, help="until a silent node counts as down (1000)")
    parser.add_argument("--set", action="append", default=[], metavar="LINE", help="a line for each server's redis.conf")
    return parser.parse_args()


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


def answer(group, line: str) -> object:
    try:
        name, *words = shlex.split(line)
        if name not in COMMANDS[group.kind]:
            raise GroupError(f"a group of kind {group.kind} has no command {name!r}")
        return {"ok": getattr(group, name)(*words)}
    except (GroupError, NotStarted, OSError, TypeError, ValueError, LookupError) as error:
        return {"error": f"{line.strip()}: {error}"}


def main() -> int:
    args = parse()

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # what ends it already is not disturbed by more
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    wishes = Wishes(args.server, args.tls, args.password, tuple(args.user), args.namespaces, args.timeout_ms, tuple(args.set))
    try:
        group = KINDS[args.kind](wishes)
    except (GroupError, NotStarted, OSError) as error:
        say({"error": str(error)})
        return 1
    with group:
        say(group.describe())
        for line in sys.stdin:
            if line.strip():
                say(answer(group, line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
