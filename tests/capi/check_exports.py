#!/usr/bin/env python3
"""Checks that three lists of functions are one: fanwire.h, symbols.map, and what libfanwire.so exports;
and that tests/capi calls each of them.

check_exports.py HEADER SYMBOLS_MAP LIBRARY TESTS_FOLDER
"""
import re
import subprocess
import sys
from pathlib import Path


def main():
    header, symbols_map, library, tests = map(Path, sys.argv[1:])
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    declared = re.findall(r"^FANWIRE_API\s[^;]*?\b(fanwire_\w+)\s*\(", text, flags=re.M)

    text = re.sub(r"#.*", "", symbols_map.read_text())
    node = re.fullmatch(r"\s*(\w[\w.]*)\s*\{\s*global:(.*?)local:\s*\*;\s*\};\s*", text, flags=re.S)
    if not node:
        print(f"{symbols_map}: expected one version node with a global list and `local: *;`")
        return 1
    mapped = [name.strip() for name in node[2].split(";") if name.strip()]

    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    exported = []
    for line in lines.splitlines():
        kind, name = line.split()[-2:]
        name, _, version = name.partition("@")
        if kind == "A" and name == node[1]:
            continue  # the version node itself
        exported.append(name)
        if kind != "T" or version.lstrip("@") != node[1]:
            print(f"{library.name}: {line.strip()}: expected a function of version {node[1]}")
            return 1

    called = set()
    for source in tests.glob("*.cpp"):
        called |= set(re.findall(r"\b(fanwire_\w+)\s*\(", source.read_text()))

    wrong = 0
    for what, names in (("symbols.map", mapped), (library.name, exported)):
        for name in sorted(set(names) ^ set(declared)):
            print(f"{name}: {'in' if name in names else 'not in'} {what}, "
                  f"{'in' if name in declared else 'not in'} {header.name}")
            wrong += 1
        wrong += len(names) != len(set(names))
    for name in sorted(set(declared) - called):
        print(f"{name}: no test of tests/capi calls it")
        wrong += 1
    if not declared:
        print(f"{header}: no function found")
        return 1
    print(f"{len(declared)} functions of {header.name}, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
