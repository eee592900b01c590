#!/usr/bin/env python3
"""Checks that every C and C++ file of the tree is formatted as .clang-format says.

check_format.py CLANG_FORMAT ROOT [--fix]: names each file that is not and exits with 1; with --fix formats it instead.
check_format.py CLANG_FORMAT --self-test: checks that a file with a wrong space is found.

Versions of clang-format differ in details, so the tree is formatted by one: that of Debian 12, 14.
"""

import os
import subprocess
import sys
import tempfile

ROOMS = ("core", "capi", "bindings", "tests", "packaging")
SUFFIXES = (".h", ".hpp", ".c", ".cpp")
NOT_OURS = ("node_modules", "build")


def sources(root):
    for room in ROOMS:
        for folder, folders, files in os.walk(os.path.join(root, room)):
            folders[:] = sorted(f for f in folders if f not in NOT_OURS)
            yield from (os.path.join(folder, f) for f in sorted(files) if f.endswith(SUFFIXES))


def unformatted(clang_format, files):
    """Returns those of the files that clang-format would change."""
    wrong = []
    for file in files:
        with open(file, "rb") as source:
            text = source.read()
        done = subprocess.run([clang_format, "--style=file", file], stdout=subprocess.PIPE, check=True)
        if done.stdout != text:
            wrong.append(file)
    return wrong


def self_test(clang_format):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, ".clang-format"), "w", encoding="utf-8") as style:
            style.write("BasedOnStyle: Google\n")
        good, bad = (os.path.join(folder, name) for name in ("good.cpp", "bad.cpp"))
        for path, text in ((good, "int a = 1;\n"), (bad, "int a=1;\n")):
            with open(path, "w", encoding="utf-8") as source:
                source.write(text)
        found = unformatted(clang_format, [good, bad])
    if found != [bad]:
        sys.exit(f"of a good and a bad file, these were found: {found}")
    print("a file with a wrong space is found, a good one is not")


def main():
    clang_format = sys.argv[1]
    if sys.argv[2:] == ["--self-test"]:
        return self_test(clang_format)
    root, fix = sys.argv[2], sys.argv[3:] == ["--fix"]
    files = list(sources(root))
    if not files:
        sys.exit(f"no source is found below {root}")
    wrong = unformatted(clang_format, files)
    if wrong and fix:
        subprocess.run([clang_format, "--style=file", "-i", *wrong], check=True)
    for file in wrong:
        print(f"{os.path.relpath(file, root)}: {'formatted' if fix else 'is not formatted'}")
    if wrong and not fix:
        sys.exit(f"format with: python3 tests/support/check_format.py {clang_format} . --fix")
    print(f"{len(files)} files are formatted")


main()
