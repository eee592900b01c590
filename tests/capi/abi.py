#!/usr/bin/env python3
"""Compares the ABI of libfanwire.so with that of the last release, as capi/abi/libfanwire.so.1.xml has it (abidw).

abi.py LIBRARY              exit 1 with abidiff's report when a program linked to that release could break
abi.py --update LIBRARY     writes the dump again: with each release, and before 1.0.0 with each minor version
abi.py --self-test LIBRARY  changes a copy of the library's dump, and a small library, and looks what is found

LIBRARY has the debug information of types (a RelWithDebInfo or Debug build). Needs abidw and abidiff, of Debian's package
abigail-tools; without them the exit code is 77. Added functions, enumerators and fields at the end of a struct are no
break: the caller passes the size of each struct (ABI.md).
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
baseline = root / "capi/abi/libfanwire.so.1.xml"
grown = root / "capi/abi/grown.abignore"
headers = root / "capi/include"

# A library of the same kinds of things. Each macro is one change to it.
toy = """
#include <stddef.h>
enum toy_kind {
    TOY_A = 0,
#ifdef RENUMBERED
    TOY_B = 2,
#else
    TOY_B = 1,
#endif
#ifdef MORE_KINDS
    TOY_C = 2,
#endif
};
struct toy_info {
    size_t size;
#ifndef FIELD_REMOVED
    enum toy_kind kind;
#endif
#ifdef FIELD_INSERTED
    long inserted;
#endif
    const char *text;
#ifdef FIELD_AT_END
    long more;
#endif
};
#ifndef FUNCTION_REMOVED
int toy_close(struct toy_info *info) { return info != 0; }
#endif
#ifdef PARAMETER_CHANGED
int toy_fill(struct toy_info *info, long kind) { return info != 0 && kind != 0; }
#else
int toy_fill(struct toy_info *info, enum toy_kind kind) { return info != 0 && kind != TOY_A; }
#endif
#ifdef RETURN_CHANGED
long toy_count(void) { return 1; }
#else
int toy_count(void) { return 1; }
#endif
#ifdef FUNCTION_ADDED
int toy_more(void) { return 1; }
#endif
"""
breaks = ["FUNCTION_REMOVED", "RENUMBERED", "FIELD_REMOVED", "FIELD_INSERTED", "PARAMETER_CHANGED", "RETURN_CHANGED"]
additions = ["UNCHANGED", "MORE_KINDS", "FIELD_AT_END", "FUNCTION_ADDED"]


def dump(library: Path, out: Path, *options: str) -> None:
    subprocess.run(["abidw", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed", "--drop-undefined-syms",
                    "--no-parameter-names", "--type-id-style", "hash", *options, "--out-file", out, library], check=True)


def dump_of_ours(library: Path, out: Path) -> None:
    dump(library, out, "--headers-dir", str(headers), "--drop-private-types", "--exported-interfaces-only")
    if "<class-decl" not in out.read_text():
        sys.exit(f"{library} has no debug information of types: compile capi with -g")


def compare(old: Path, new: Path) -> tuple[bool, str]:
    """Whether programs linked to the old one work with the new one, and abidiff's report."""
    done = subprocess.run(["abidiff", "--no-added-syms", "--suppressions", grown, old, new], capture_output=True, text=True)
    if done.returncode & 3:
        sys.exit(f"abidiff failed with {done.returncode}: {done.stdout}{done.stderr}")
    return done.returncode == 0, done.stdout


def compile_toy(folder: Path, change: str) -> Path:
    library = folder / f"lib{change}.so"
    subprocess.run(["cc", "-g", "-shared", "-fPIC", f"-D{change}", "-Wl,-soname,libtoy.so.1", "-x", "c", "-", "-o", library], input=toy,
                   text=True, check=True)
    dump(library, library.with_suffix(".xml"))
    return library.with_suffix(".xml")


def without(xml: str, function: str) -> str:
    xml, symbols = re.subn(rf"\s*<elf-symbol name='{function}'.*?/>", "", xml)
    xml, functions = re.subn(rf"\s*<function-decl name='{function}'.*?</function-decl>", "", xml, flags=re.S)
    assert (symbols, functions) == (1, 1), f"{function} is not in the dump once"
    return xml


def self_test(library: Path) -> int:
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        before = compile_toy(folder, "BEFORE")
        for change, works in [*((name, False) for name in breaks), *((name, True) for name in additions)]:
            if compare(before, compile_toy(folder, change))[0] != works:
                wrong.append(f"{change}: {'not ' if works else ''}taken for the same ABI")
        ours, removed = folder / "ours.xml", folder / "removed.xml"
        dump_of_ours(library, ours)
        removed.write_text(without(ours.read_text(), "fanwire_publish_wait"))
        works, report = compare(ours, removed)
        if works or "fanwire_publish_wait" not in report:
            wrong.append(f"without fanwire_publish_wait: {report or 'not found'}")
    print(*wrong, sep="\n")
    return bool(wrong)


def main() -> int:
    words = sys.argv[1:]
    mode = words.pop(0) if words and words[0].startswith("--") else ""
    if len(words) != 1 or mode not in {"", "--update", "--self-test"}:
        print(__doc__, file=sys.stderr)
        return 2
    if not (shutil.which("abidw") and shutil.which("abidiff")):
        print("no abidw and abidiff; install abigail-tools")
        return 77
    library = Path(words[0]).resolve()
    if mode == "--update":
        dump_of_ours(library, baseline)
        baseline.write_text(baseline.read_text().replace(f"{root}/", ""))
        return 0
    if mode == "--self-test":
        return self_test(library)
    with tempfile.TemporaryDirectory() as scratch:
        now = Path(scratch) / "now.xml"
        dump_of_ours(library, now)
        works, report = compare(baseline, now)
    if not works:
        print(report)
        print(f"Programs linked to the release of {baseline.name} may break. If that is meant: tests/capi/abi.py --update (ABI.md).")
    return not works


sys.exit(main())
