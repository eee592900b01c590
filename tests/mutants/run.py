#!/usr/bin/env python3
"""Plants bugs into a copy of core/ and capi/, one at a time, and looks whether the tests find them.

See README.md beside this file. The exit code is 0 if the tests pass without a bug, every row marked `must` is found and
at least 90 % of all.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "build" / "mutants"
WANTED = 0.9

# What a mutant's copy is built from.
COPIED = ("CMakeLists.txt", "CMakePresets.json", "core", "capi", "packaging/install.cmake", "tests")
# Without simulated schedules, which have steps of their own. What takes a second is for those that the others do not find.
SLOW = ("MessagePool.KeepsNoMoreThanItsBoundWhateverTheSizes:PushScanner.SaysWhatTheReaderWouldHoweverTheBytesAreCut:"
        "FlushModeration.*:SubscriptionTest.WaitingNeverTellsOfAStateWithTheReasonOfAnother:JsonGuard.AgreesWithAnotherParser:"
        "Seeds/ScanTest.*:Seeds/TrackerSchedules.*")
UNIT_FILTER = "-Seeds/*:Simulation.*:" + SLOW


@dataclasses.dataclass(frozen=True)
class Step:
    """One run of a test program."""

    name: str
    program: str
    filter: str = "*"
    environment: tuple[tuple[str, str], ...] = ()


STEPS = {
    "simulation": Step("simulation", "tests/unit/fanwire_unit_tests", "Simulation.Many",
                       (("FANWIRE_SIMULATION_FIRST", "0"), ("FANWIRE_SIMULATION_COUNT", "4000"))),
    "breaks": Step("breaks", "tests/unit/fanwire_unit_tests", "Simulation.A*"),
    "unit": Step("unit", "tests/unit/fanwire_unit_tests", UNIT_FILTER),
    "slow": Step("slow", "tests/unit/fanwire_unit_tests", SLOW),
    "capi": Step("capi", "tests/capi/fanwire_capi_tests"),
    "malloc": Step("malloc", "tests/malloc/fanwire_malloc_tests"),
    "integration": Step("integration", "tests/integration/fanwire_integration_tests"),
    # All schedules of the unit tests: for what the steps before have not found.
    "full": Step("full", "tests/unit/fanwire_unit_tests", "Seeds/SimulatedSchedules.*"),
}
# What the word in a row's `suites` stands for.
SUITES = {
    "unit": ("unit", "slow"),
    "simulation": ("simulation", "breaks", "full"),
    "capi": ("capi",),
    "malloc": ("malloc",),
    "integration": ("integration",),
}


@dataclasses.dataclass
class Mutant:
    """A row of the tables."""

    number: int
    table: str
    id: str
    file: str
    find: str
    replace: str
    breaks: str
    suites: list[str]
    must: bool = False

    def steps(self) -> list[Step]:
        names = [name for suite in self.suites for name in SUITES[suite]]
        return [STEPS[name] for name in STEPS if name in names]  # the cheap ones first


class BadTable(Exception):
    """A row that says something impossible; the text names it."""


def read_tables(folder: pathlib.Path) -> list[Mutant]:
    """All rows of *.toml. Numbers are given in their order: nothing keeps them."""
    mutants: list[Mutant] = []
    seen: set[str] = set()
    for path in sorted(folder.glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise BadTable(f"{path.name}: {error}") from None
        unknown = set(table) - {"file", "suites", "mutant"}
        if unknown:
            raise BadTable(f"{path.name}: unknown {', '.join(sorted(unknown))}")
        for row in table.get("mutant", []):
            name = f"{path.name}: {row.get('id', '(no id)')}"
            filled = {"file": table.get("file"), "suites": table.get("suites"), **row}
            unknown = set(row) - {"id", "file", "find", "replace", "breaks", "suites", "must"}
            missing = [key for key in ("id", "file", "find", "replace", "breaks", "suites") if not filled.get(key)]
            if unknown or missing:
                raise BadTable(f"{name}: unknown {sorted(unknown)}, missing {missing}")
            if filled["id"] in seen:
                raise BadTable(f"{name}: the id is given twice")
            if "MUTANT" not in filled["replace"]:
                raise BadTable(f"{name}: the replacement does not ask for MUTANT")
            wrong = [suite for suite in filled["suites"] if suite not in SUITES]
            if wrong:
                raise BadTable(f"{name}: no suite is called {', '.join(wrong)}; there are {', '.join(SUITES)}")
            seen.add(filled["id"])
            mutants.append(Mutant(len(mutants) + 1, path.stem, **filled))
    return mutants


def plant(text: str, mutants: list[Mutant]) -> str:
    """The file with all of its bugs, each behind its switch."""
    places = []
    for mutant in mutants:
        times = text.count(mutant.find)
        if times != 1:
            raise BadTable(f"{mutant.table}.toml: {mutant.id}: its text stands {times} times in {mutant.file}, not once")
        start = text.index(mutant.find)
        places.append((start, start + len(mutant.find), mutant))
    places.sort(key=lambda place: place[:2])
    for (_, end, one), (start, _, other) in zip(places, places[1:]):
        if start < end:
            raise BadTable(f"{one.id} and {other.id} overlap in {one.file}")
    for start, end, mutant in reversed(places):
        switched = re.sub(r"\bMUTANT\b", f"(fanwire_mutant_on == {mutant.number})", mutant.replace)
        text = text[:start] + switched + text[end:]
    return text


def self_test() -> None:
    """That what must be an error is one, and that what is planted is what a row says."""
    def mutant(number: int, find: str, replace: str = "MUTANT") -> Mutant:
        return Mutant(number, "t", f"m{number}", "f", find, replace, "b", ["unit"])

    planted = plant("int a = 1; int b = 2;", [mutant(1, "b = 2", "b = MUTANT ? 3 : 2"), mutant(2, "= 1", "= !MUTANT")])
    assert planted == "int a = !(fanwire_mutant_on == 2); int b = (fanwire_mutant_on == 1) ? 3 : 2;", planted
    for text, rows, said in (("a", [mutant(1, "b")], "m1: its text stands 0 times"),
                             ("a a", [mutant(1, "a")], "m1: its text stands 2 times"),
                             ("abc", [mutant(1, "ab"), mutant(2, "bc")], "overlap")):
        try:
            plant(text, rows)
        except BadTable as error:
            assert said in str(error), error
        else:
            raise AssertionError(f"no error that says {said!r}")
    for row in read_tables(HERE):
        assert row.steps(), row.id


def planted_files(mutants: list[Mutant]) -> dict[str, bytes]:
    """Each file that rows name, with all of its bugs. Says of all rows that do not fit that they do not."""
    by_file: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        by_file.setdefault(mutant.file, []).append(mutant)
    planted: dict[str, bytes] = {}
    wrong: list[str] = []
    for name, rows in by_file.items():
        path = ROOT / name
        text = path.read_text() if path.is_file() else ""
        fit = []
        for row in rows:
            try:
                plant(text, [row])
                fit.append(row)
            except BadTable as error:
                wrong.append(str(error))
        try:
            planted[name] = plant(text, fit).encode()
        except BadTable as error:
            wrong.append(str(error))
    if wrong:
        raise BadTable("\n  ".join([f"{len(wrong)} rows do not fit:", *wrong]))
    return planted


def copy_sources(planted: dict[str, bytes]) -> pathlib.Path:
    """The planted tree. Files that are as they were keep their time, so that little is built again."""
    source = WORK / "source"
    wanted: set[pathlib.Path] = set()

    def put(relative: pathlib.Path) -> None:
        wanted.add(relative)
        text = planted.get(relative.as_posix()) or (ROOT / relative).read_bytes()
        target = source / relative
        if target.exists() and target.read_bytes() == text:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
        shutil.copymode(ROOT / relative, target)

    for name in COPIED:
        top = ROOT / name
        files = [top] if top.is_file() else (path for path in sorted(top.rglob("*")) if path.is_file())
        for path in files:
            relative = path.relative_to(ROOT)
            if not {"node_modules", "__pycache__", "python", "node", "bench"} & set(relative.parts[:-1]):
                put(relative)
    for path in source.rglob("*"):
        if path.is_file() and path.relative_to(source) not in wanted:
            path.unlink()
    return source


def build(source: pathlib.Path, steps: list[Step], jobs: int) -> pathlib.Path:
    """One build that has all of the bugs."""
    where = WORK / "build"
    header = HERE / "mutant.h"
    (WORK / "mutant.h").write_bytes(header.read_bytes())
    targets = sorted({step.program.rsplit("/", 1)[1] for step in steps})
    # The precompiled header has the switch in it already.
    subprocess.run(["cmake", "-G", "Ninja", "-S", source, "-B", where, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1 -DNDEBUG", f"-DCMAKE_CXX_FLAGS=-include {WORK}/mutant.h -Werror=dangling-else",
                    "-DFANWIRE_CLI=OFF", "-DFANWIRE_BENCH=OFF", "-DFANWIRE_INSTALL=OFF"],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", where, "--parallel", str(jobs), "--target", *targets], check=True)
    return where


@dataclasses.dataclass
class Outcome:
    """Of one step: what found the bug, if anything did."""

    found_by: str | None
    seconds: float
    output: str = ""


def run_step(where: pathlib.Path, step: Step, number: int, limit: float, only: str = "") -> Outcome:
    """A crash, a failed test and a hang all count as found."""
    environment = {**os.environ, **dict(step.environment), "FANWIRE_MUTANT": str(number)}
    start = time.monotonic()
    program = where / step.program
    process = subprocess.Popen([program, f"--gtest_filter={only or step.filter}", "--gtest_fail_fast", "--gtest_brief=1"],
                               cwd=program.parent, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = process.communicate(timeout=limit)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with what it has started
        process.communicate()
        return Outcome(f"{step.name}: longer than {limit:.0f} s", time.monotonic() - start)
    seconds = time.monotonic() - start
    if process.returncode == 0:
        return Outcome(None, seconds, output)
    failed = re.search(r"\[  FAILED  \] (\S+?),? ", output)
    what = failed.group(1) if failed else f"signal {-process.returncode}" if process.returncode < 0 else "an error"
    return Outcome(f"{step.name}: {what}", seconds, output)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="only this one; may be repeated")
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="only those of NAME.toml")
    parser.add_argument("--quick", action="store_true", help="without all the simulated schedules for survivors")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="mutants at once")
    parser.add_argument("--check", action="store_true", help="only look whether the rows fit the files")
    parser.add_argument("--show", action="store_true", help="what the tests said of each bug that they found")
    parser.add_argument("--self-test", action="store_true", help="only test this script itself")
    return parser.parse_args()


def main() -> int:
    """Plants, builds, runs."""
    arguments = parse_arguments()
    if arguments.self_test:
        self_test()
        return 0
    mutants = read_tables(HERE)
    planted = planted_files(mutants)
    if arguments.check:
        print(f"{len(mutants)} rows fit")
        return 0
    chosen = [m for m in mutants if (not arguments.only or m.id in arguments.only)
              and (not arguments.table or m.table in arguments.table)]
    unknown = set(arguments.only) - {m.id for m in mutants}
    if unknown or not chosen:
        raise BadTable(f"no row is called {', '.join(sorted(unknown)) or 'so'}")
    source = copy_sources(planted)
    used = [step for step in STEPS.values() if any(step in m.steps() for m in chosen)]
    if arguments.quick:
        used = [step for step in used if step.name != "full"]
    where = build(source, used, arguments.jobs)

    limits: dict[str, float] = {}
    for step in used:
        outcome = run_step(where, step, 0, 1800)
        if outcome.found_by:
            print(outcome.output[-4000:], f"\nwithout any bug: {outcome.found_by}", sep="", file=sys.stderr)
            return 1
        limits[step.name] = max(30.0, 4 * outcome.seconds)
        print(f"without any bug: {step.name} passes in {outcome.seconds:.1f} s", flush=True)

    def judge(mutant: Mutant) -> tuple[Mutant, str | None, float]:
        seconds = 0.0
        for step in mutant.steps():
            if step not in used:
                continue
            outcome = run_step(where, step, mutant.number, limits[step.name])
            seconds += outcome.seconds
            if outcome.found_by:
                if arguments.show:
                    print(f"---- {mutant.id}\n{outcome.output[-3000:]}", flush=True)
                return mutant, outcome.found_by, seconds
        return mutant, None, seconds

    survivors, missed = [], []
    width = max(len(m.id) for m in chosen)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, found_by, seconds in pool.map(judge, chosen):
            print(f"{mutant.id:{width}}  {seconds:7.1f} s  {found_by or 'NOT FOUND'}", flush=True)
            if not found_by:
                survivors.append(mutant)
                if mutant.must:
                    missed.append(mutant)
    for mutant in survivors:
        print(f"not found: {mutant.id}: {mutant.breaks} ({mutant.file})")
    found = len(chosen) - len(survivors)
    print(f"{found} of {len(chosen)} found")
    return 0 if found >= WANTED * len(chosen) and not missed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BadTable as bad:
        sys.exit(f"mutants: {bad}")
