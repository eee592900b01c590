#!/usr/bin/env python3
"""Counts the instructions of the micro-benchmarks under callgrind and compares them with what was recorded.

    instructions.py PROGRAM [--record]

A count does not depend on what else the machine does, but it does on the compiler and the C library; so one that has grown by
more than 10 % is a warning, and a failure only where FANWIRE_INSTRUCTIONS_STRICT is set. A case that was not recorded, or is
no longer there, is a failure: the record has to be made anew (--record), which a reviewer then sees.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

RECORD = pathlib.Path(__file__).resolve().parent / "instructions.json"
LIMIT = 1.10


def count(program: pathlib.Path) -> tuple[dict[str, float], str]:
    """Instructions for one unit of each case; and the program's build type."""
    with tempfile.TemporaryDirectory(prefix="fanwire-instructions.") as name:
        out = pathlib.Path(name) / "out"
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", str(program)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        counts = {}
        for dump in pathlib.Path(name).iterdir():
            text = dump.read_text()
            label = re.search(r"^desc: Trigger: Client Request: (\d+) (.+)$", text, re.MULTILINE)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
            if label and total:
                counts[label[2]] = int(total[1]) / int(label[1])
    if not counts:
        sys.exit("callgrind has counted nothing")
    return counts, done.stdout.strip()


def compiler_of(program: pathlib.Path) -> str:
    """As the program's own sections have it."""
    comment = subprocess.run(["readelf", "-p", ".comment", str(program)], capture_output=True, text=True, check=False).stdout
    compilers = sorted(set(re.findall(r"\]\s+(.+)$", comment, re.MULTILINE)))
    return ", ".join([*compilers, " ".join(platform.libc_ver()), platform.machine()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} instead of comparing with it")
    parser.add_argument("--strict", action="store_true", default=bool(os.environ.get("FANWIRE_INSTRUCTIONS_STRICT")))
    args = parser.parse_args()
    counts, build_type = count(args.program)
    built = f"{build_type}, {compiler_of(args.program)}"
    if args.record:
        rounded = {name: round(value, 1) for name, value in sorted(counts.items())}
        RECORD.write_text(json.dumps({"built": built, "counts": rounded}, indent=2) + "\n")
        print(f"{len(counts)} counts are recorded in {RECORD}")
        return 0

    record = json.loads(RECORD.read_text())
    recorded: dict[str, float] = record["counts"]
    print(f"{'instructions':>12} {'recorded':>9} {'change':>8}")
    grown = []
    for name, now in counts.items():
        if name not in recorded:
            print(f"{now:12.1f} {'':>9} {'':>8}  {name}: NOT RECORDED")
            continue
        change = now / recorded[name] - 1
        mark = ""
        if now > recorded[name] * LIMIT:
            grown.append(name)
            mark = ": GROWN by more than 10 %"
        print(f"{now:12.1f} {recorded[name]:9.1f} {change * 100:+7.1f} %  {name}{mark}")
    gone = sorted(set(recorded) - set(counts))
    for name in gone:
        print(f"NOT COUNTED any more: {name}")
    if gone or set(counts) - set(recorded):
        print("make the record anew with --record")
        return 1
    if grown:
        print(f"WARNING: {len(grown)} of {len(counts)} have grown by more than 10 %: {'; '.join(grown)}")
        if built != record["built"]:
            print(f"recorded with another compiler or library: {record['built']}; this is {built}")
    else:
        print("none has grown by more than 10 %")
    return 1 if grown and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
