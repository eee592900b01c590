#!/usr/bin/env python3
"""Measures fanwire beside its peers; packaging/bench.sh builds and installs what it needs and starts it. See README.md."""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import chart
import report
from drivers import Driver, DriverError, Places, all_drivers
from report import Measurements
from rows import Group, Plan
from server import Server, ServerError
from workloads import Bench, Deaf

HERE = pathlib.Path(__file__).resolve().parent


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="tests/bench of the build")
    parser.add_argument("--python", type=pathlib.Path, help="the interpreter that has the Python packages")
    parser.add_argument("--node-packages", type=pathlib.Path, help="the folder whose node_modules has the npm packages")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strict", action="store_true", help="a row that falls short or cannot be measured is a failure")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only rows whose name has this text")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--svg", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help="write the table into it")
    parser.add_argument("--readme", type=pathlib.Path, metavar="FILE", help="write the headlines of the table into it")
    parser.add_argument("--smoke", action="store_true", help="--quick with next to no counts: does it all work?")
    parser.add_argument("--list", action="store_true", help="only show the names of the rows")
    parser.add_argument("--lose", type=int, default=0, metavar="N",
                        help="the load leaves message N out: every receiver must notice")  # fmt: skip
    return parser.parse_args()


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def restrict(plan: Plan, only: list[str]) -> None:
    if not only:
        return
    plan.rows = [row for row in plan.rows if any(text.lower() in row.name.lower() for text in only)]
    wanted = {(group, driver) for row in plan.rows for group in (row.group, row.per)
              for driver in (row.ours, *row.peers, row.floor)}  # fmt: skip
    plan.groups = {
        name: Group(name, {driver: work for driver, work in group.runs.items() if (name, driver) in wanted}, group.repeat)
        for name, group in plan.groups.items() if any(name == wish for wish, _ in wanted)
    }  # fmt: skip


def measure(group: Group, bench: Bench, measurements: Measurements) -> None:
    """All drivers in turns, so that what the machine does meanwhile meets all of them."""
    for _ in range(group.repeat):
        for key, workload in group.runs.items():
            driver = bench.drivers[key]
            if driver.missing or (group.name, key) in measurements.problems | measurements.deaf:
                continue
            try:
                measurements.add(group.name, key, workload.run(bench, driver))
            except Deaf as word:
                if driver.ours:  # which must never be
                    measurements.problems[group.name, key] = str(word)
                measurements.deaf[group.name, key] = str(word)
                note(f"    {driver.language} {driver.label}: {word}")
            except (DriverError, ServerError, OSError) as error:
                measurements.problems[group.name, key] = str(error)
                note(f"    FAILED {driver.language} {driver.label}: {error}")


def make_certificates(folder: pathlib.Path) -> None:
    subprocess.run([HERE.parent / "support" / "certificates.sh", folder], check=True, capture_output=True, timeout=60)


def measure_all(plan: Plan, drivers: dict[str, Driver], measurements: Measurements, lose: int) -> str:
    """Returns the version of Redis."""
    with tempfile.TemporaryDirectory(prefix="fanwire-bench.") as name:
        folder = pathlib.Path(name)
        make_certificates(folder / "certificates")
        server = Server(folder, folder / "certificates")
        try:
            version = server.version()
            bench = Bench(server, drivers, lose)
            for i, group in enumerate(plan.groups.values(), 1):
                from_s = time.monotonic()
                measure(group, bench, measurements)
                note(f"[{i}/{len(plan.groups)}] {group.name}: {time.monotonic() - from_s:.1f} s")
        finally:
            server.stop()
    return version


def main() -> int:
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended
    plan = Plan(args.quick or args.smoke, 0.01 if args.smoke else 1.0)
    restrict(plan, args.only)
    if not plan.rows:
        note("no row has that name; --list shows them")
        return 2
    if args.list:
        print("\n".join(row.name for row in plan.rows))
        return 0
    drivers = all_drivers(Places(args.build, args.python, args.node_packages))
    if drivers["c-raw"].missing:
        note(drivers["c-raw"].missing)
        return 2
    used = {driver for group in plan.groups.values() for driver in group.runs}
    missing = [driver for key, driver in drivers.items() if key in used and driver.missing and not driver.optional]
    if drivers["rueidis"].missing and "rueidis" in used:
        note("without Go's rueidis, since there is no Go or it could not be built")
    for driver in missing:
        note(f"cannot be run: {driver.language} {driver.label}: {driver.missing}")

    measurements = Measurements()
    from_s = time.monotonic()
    version = measure_all(plan, drivers, measurements, args.lose)
    results = report.evaluate(plan, measurements, drivers)
    where = report.machine(version, drivers)
    print(f"{where}\n\n{report.table(results)}\n")
    return conclude(args, results, where, measurements, drivers, missing, time.monotonic() - from_s)


def conclude(args: argparse.Namespace, results: list[report.Result], where: str, measurements: Measurements,
             drivers: dict[str, Driver], missing: list[Driver], seconds: float) -> int:  # fmt: skip
    if args.json:
        args.json.write_text(report.as_json(results, where))
    picture = chart.draw(results, where)
    if args.svg and picture:
        args.svg.write_text(picture)
    if args.page:
        link = os.path.relpath(args.svg.resolve(), args.page.resolve().parent) if args.svg and picture else None
        report.write_page(args.page, results, where, link)
    if args.readme:
        report.write_readme(args.readme, results, where)

    judged = [result for result in results if result.row.targets]
    short = [result for result in judged if result.reached is False]
    unknown = [result for result in results if result.ours is None or (result.row.targets and result.reached is None)]
    print(f"{len(judged) - len(short) - sum(r.reached is None for r in judged)} of {len(judged)} targets reached, "
          f"{len(short)} short; {seconds:.0f} s")  # fmt: skip
    for driver in missing:
        print(f"not measured: {driver.language} {driver.label}: {driver.missing}")
    for result in unknown:
        print(f"not judged: {result.row.name}: {result.verdict}")
    for key, word in sorted({(key, word) for (_, key), word in measurements.deaf.items()}):
        print(f"no figure: {drivers[key].language} {drivers[key].label}: {word}")
    for (group, key), problem in measurements.problems.items():
        print(f"FAILED: {group}: {drivers[key].language} {drivers[key].label}: {problem}")
    if measurements.problems:
        return 1
    return 1 if args.strict and (short or unknown or missing) else 0


if __name__ == "__main__":
    sys.exit(main())
