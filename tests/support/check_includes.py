#!/usr/bin/env python3
"""Checks who includes whom: core's layers, capi/src over core, bindings and fanwire.hpp over the C header only.

check_includes.py [TREE]   exit 1 and one line for each forbidden #include (TREE: the checkout, default: this one)
check_includes.py --self-test
"""
import posixpath
import re
import sys
import tempfile
from pathlib import Path

# Direct dependencies of each folder; what they depend on may be included as well.
DIRECT = {
    "core/base": [],
    "core/message": ["core/base"],
    "core/protocol": ["core/message"],
    "core/topology": ["core/protocol"],
    "core/fanout": ["core/message"],
    "core/net": ["core/base"],
    "core/backend": ["core/protocol", "core/topology", "core/net"],
    "core/engine": ["core/backend", "core/fanout"],
    "core/hub": ["core/engine"],
    "capi/include": [],
    "capi/src": ["core/engine", "core/hub", "capi/include"],
    "bindings": ["capi/include"],
}

# Libraries and system headers that only one folder may see.
ONLY_IN = [
    ("core/net", r"event2/|event\.h$|evutil|sys/socket\.h$|sys/un\.h$|netinet/|arpa/inet\.h$|netdb\.h$|openssl/"),
    ("core/protocol", r"hiredis/|hiredis\.h$"),
]

# What a backend is, and those that have no Redis: no RESP.
NEUTRAL = re.compile(r"core/backend/(backend|sink|broker|custom|memory|memory_bus|numsub)\.(h|cpp)$")

# The command as a function, for `python -m fanwire`.
SHARED = {"bindings/cli/command_line.h"}

SOURCES = {".h", ".hpp", ".c", ".cc", ".cpp", ".def", ".inc"}
GENERATED = {"build", "node_modules", ".venv", "dist"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def allowed(folder):
    seen, todo = set(), [folder]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += DIRECT[name]
    return seen


def folder_of(path):
    """The row of DIRECT that a path from the tree's root belongs to; None: outside (tests, packaging)."""
    parts = path.split("/")
    if parts[0] == "bindings":
        return "bindings"
    if parts[0] == "capi" and len(parts) > 2:
        return "capi/" + parts[1]
    if parts[0] == "core":
        return "core/" + parts[1] if len(parts) > 2 else "core"  # no file lies in core/ itself
    return None


def target_of(tree, source, text):
    """The path from the root that an #include in `source` means, or None when it is not of this tree."""
    for base in (posixpath.dirname(source), "", "capi/include"):
        path = posixpath.normpath(posixpath.join(base, text))
        if (tree / path).is_file():
            return path
    # A file that is not there is still judged by where it claims to be.
    path = posixpath.normpath(text)
    return path if path.startswith(("core/", "capi/", "bindings/")) else None


def violations(tree):
    found = []
    files = sorted(p for top in ("core", "capi", "bindings") for p in (tree / top).rglob("*") if p.suffix in SOURCES)
    checked = 0
    for file in files:
        source = file.relative_to(tree).as_posix()
        if GENERATED & set(source.split("/")) or not file.is_file():
            continue
        folder = folder_of(source)
        if folder is None:
            continue
        checked += 1
        if folder not in DIRECT:
            found.append(f"{source}: the folder {folder} has no rule in check_includes.py")
            continue
        for _, text in INCLUDE.findall(file.read_text(encoding="utf-8", errors="replace")):
            target = target_of(tree, source, text)
            if target is not None:
                other = folder_of(target)
                if other is not None and other not in allowed(folder):
                    found.append(f'{source}: includes "{text}": {folder} must not know {other}')
                elif NEUTRAL.match(source) and other == "core/protocol":
                    found.append(f'{source}: includes "{text}": only the Redis backend knows core/protocol')
                elif folder == "bindings" and other == "bindings" and target not in SHARED and source.split("/")[1] != target.split("/")[1]:
                    found.append(f'{source}: includes "{text}": a binding must not know another')
                continue
            for owner, pattern in ONLY_IN:
                if re.match(pattern, text) and folder != owner:
                    found.append(f"{source}: includes <{text}>: only {owner} may")
    return found, checked


def self_test():
    """Each planted violation is found, by its file, and nothing else is."""
    good = {
        "core/base/a.h": "#include <string>",
        "core/message/a.h": '#include "core/base/a.h"',
        "core/protocol/a.cpp": '#include <hiredis/read.h>\n#include "core/message/a.h"\n#include "core/base/a.h"',
        "core/topology/a.h": '#include "core/protocol/a.h"',
        "core/fanout/a.h": '#include "core/message/a.h"',
        "core/net/a.cpp": '#include <event2/event.h>\n#include <sys/socket.h>\n#include "a.h"',
        "core/net/a.h": '#include "core/base/a.h"',
        "core/backend/a.h": '#include "core/net/a.h"\n#include "core/topology/a.h"',
        "core/backend/sink.h": '#include "core/message/a.h"',
        "core/engine/a.cpp": '#include "core/backend/a.h"\n#include "core/fanout/a.h"',
        "core/hub/a.h": '#include "core/engine/a.h"\n#include "core/message/a.h"',
        "capi/src/a.cpp": '#include "core/engine/a.h"\n#include "core/hub/a.h"\n#include "fanwire/fanwire.h"',
        "capi/include/fanwire/fanwire.h": "#include <stdint.h>",
        "capi/include/fanwire/fanwire.hpp": '#include "fanwire/fanwire.h"',
        "bindings/node/a.cpp": '#include <fanwire/fanwire.h>\n#include "b.h"',
        "bindings/node/b.h": "#include <node_api.h>",
        "bindings/cli/command_line.h": "#include <string>",
        "bindings/python/a.cpp": '#include "bindings/cli/command_line.h"',
        "bindings/node/node_modules/x/a.h": '#include "core/engine/a.h"',
        "tests/unit/a.cpp": '#include "core/net/a.h"\n#include <event2/event.h>',
    }
    bad = {
        "core/base/up.h": '#include "core/message/a.h"',
        "core/message/up.h": '#include "core/protocol/a.h"',
        "core/protocol/side.h": '#include "core/net/a.h"',
        "core/protocol/socket.cpp": "#include <sys/socket.h>",
        "core/topology/up.h": '#include "core/backend/a.h"',
        "core/fanout/side.h": '#include "../net/a.h"',
        "core/fanout/event.cpp": "#  include <event2/event.h>",
        "core/net/side.h": '#include "core/message/a.h"',
        "core/net/reader.cpp": "#include <hiredis/hiredis.h>",
        "core/backend/memory.cpp": '#include "core/protocol/a.h"',
        "core/backend/side.h": '#include "core/fanout/a.h"',
        "core/backend/up.cpp": '#include "core/engine/a.h"',
        "core/engine/up.h": '#include "core/hub/a.h"',
        "core/novel/a.h": "",
        "core/stray.h": "",
        "capi/src/reader.cpp": "#include <hiredis.h>",
        "capi/include/fanwire/inner.hpp": '#include "core/base/a.h"',
        "bindings/node/inner.cpp": '#include "../../core/base/a.h"',
        "bindings/python/other.cpp": '#include "../node/b.h"',
        "bindings/cli/private.cpp": '#include "capi/src/handle.h"',
        "bindings/cli/tls.cpp": "#include <openssl/ssl.h>",
    }
    with tempfile.TemporaryDirectory() as root:
        tree = Path(root)
        for files in (good, bad):
            for name, text in files.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(text + "\n")
        found, _ = violations(tree)
    blamed = [line.split(":")[0] for line in found]
    wrong = sorted(set(blamed) ^ set(bad)) + [name for name in bad if blamed.count(name) > 1]
    for name in wrong:
        print(f"self-test: {name}: blamed {blamed.count(name)} times, expected {int(name in bad)}")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    tree = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    found, checked = violations(tree)
    for line in found:
        print(line)
    if checked == 0:
        print(f"no source file in {tree}")
        return 1
    print(f"{checked} files checked, {len(found)} forbidden includes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
