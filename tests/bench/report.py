"""From figures to rows, and from rows to the table, the JSON and the README."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import statistics

from drivers import Driver
from rows import Plan, Row, Target
from workloads import Figures


@dataclasses.dataclass
class Result:
    """A row with its figures. `problems`: by name, who should be in it and is not, and why."""

    row: Row
    ours: float | None
    peers: dict[str, float]  # by label
    floor: float | None
    floor_label: str
    ratio: float | None  # ours against what `target` names
    target: str  # "" when there is none
    reached: bool | None
    verdict: str
    problems: list[str]
    deaf: list[str] = dataclasses.field(default_factory=list)  # labels of those who hear nothing after a break


class Measurements:
    """The figures of all runs: of a group and a driver, one for each repetition."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], list[Figures]] = {}
        self.problems: dict[tuple[str, str], str] = {}
        self.deaf: dict[tuple[str, str], str] = {}  # who gets a word in the place of a figure

    def add(self, group: str, driver: str, figures: Figures) -> None:
        self.runs.setdefault((group, driver), []).append(figures)

    def median(self, row: Row, driver: str) -> float | None:
        value = self._median(row.group, row, driver)
        if row.per is None or value is None:
            return value
        unit = self._median(row.per, row, driver)
        return value / unit if unit else None

    def median_ratio(self, row: Row, driver: str, other: str) -> float | None:
        """Of the ratios within each turn: what disturbs a turn disturbs both."""
        if row.per is None:
            of, to = (self.runs.get((row.group, key), []) for key in (driver, other))
            if of and len(of) == len(to):
                return statistics.median(row.figure(a) / row.figure(b) for a, b in zip(of, to))
        ours, reference = self.median(row, driver), self.median(row, other)
        return ours / reference if ours is not None and reference else None

    def _median(self, group: str, row: Row, driver: str) -> float | None:
        if (group, driver) in self.problems:
            return None
        runs = self.runs.get((group, driver), [])
        return statistics.median(row.figure(figures) for figures in runs) if runs else None


def evaluate(plan: Plan, figures: Measurements, drivers: dict[str, Driver]) -> list[Result]:
    return [_evaluate(row, figures, drivers) for row in plan.rows if row.group in plan.groups]


def _evaluate(row: Row, figures: Measurements, drivers: dict[str, Driver]) -> Result:
    problems = []

    def measured(driver: str) -> float | None:
        word = figures.deaf.get((row.group, driver), "")
        missing = "" if drivers[driver].optional else drivers[driver].missing
        problem = missing or figures.problems.get((row.group, driver), "") or word
        if problem:
            problems.append(f"{drivers[driver].language} {drivers[driver].label}: {problem}")
        return figures.median(row, driver)

    ours = measured(row.ours)
    peers = {drivers[peer].label: measured(peer) for peer in row.peers}
    floor = measured(row.floor) if row.floor else None
    result = Result(row, ours, {k: v for k, v in peers.items() if v is not None}, floor,
                    drivers[row.floor].label if row.floor else "", None, "", None, "", problems)  # fmt: skip
    result.deaf = [drivers[peer].label for peer in row.peers if (row.group, peer) in figures.deaf]
    _judge(result, figures, drivers)
    return result


def _judge(result: Result, figures: Measurements, drivers: dict[str, Driver]) -> None:
    row = result.row
    result.target = " and ".join(_target_text(target, row.unit, drivers) for target in row.targets)
    if result.ours is None:
        result.verdict = "not measured"
        return
    if not row.targets:
        others = [row.floor, *row.peers] if row.floor else list(row.peers)
        ratios = (figures.median_ratio(row, row.ours, other) for other in others)
        result.ratio = next((ratio for ratio in ratios if ratio is not None), None)
        return
    # Of several targets the one that is furthest from being reached speaks for the row.
    worst: tuple[float, float] | None = None
    for target in row.targets:
        if isinstance(target.against, float):
            ratio = result.ours / target.against
        else:
            if (row.group, target.against) in figures.deaf:
                continue  # the other targets speak for the row
            known = figures.median_ratio(row, row.ours, target.against)
            if known is None:
                result.verdict = f"cannot be judged without {drivers[target.against].label}"
                return
            ratio = known
        excess = target.limit / ratio if target.at_least else ratio / target.limit
        if worst is None or excess > worst[0]:
            worst = (excess, ratio)
    if worst is None:
        result.verdict = "cannot be judged: who it is measured against is deaf after a break"
        return
    result.ratio = worst[1]
    result.reached = worst[0] <= 1.0
    result.verdict = "reached" if result.reached else f"short by {(worst[0] - 1) * 100:.0f} %"


def _target_text(target: Target, unit: str, drivers: dict[str, Driver]) -> str:
    sign = ">=" if target.at_least else "<="
    if isinstance(target.against, float):
        return f"{sign} {number(target.against * target.limit)} {unit}"
    factor = "" if target.limit == 1.0 else f"{target.limit:g} x "
    return f"{sign} {factor}{drivers[target.against].label}"


def number(value: float | None) -> str:
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


# ---- The machine -------------------------------------------------------------------------------------------------


def machine(redis_version: str, drivers: dict[str, Driver]) -> str:
    model = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    cores = os.cpu_count() or 0
    versions: dict[str, str] = {}
    for driver in drivers.values():
        if driver.version and not driver.missing and not driver.ours:
            name = driver.label.split(" ")[0] if driver.key != "bun-native" else "Bun"
            known = versions.get(name, driver.version)  # of two languages' packages of one name
            versions[name] = known if driver.version in known.split("/") else f"{known}/{driver.version}"
    peers = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (f"{model}, {cores} core{'s' if cores != 1 else ''}, Linux {platform.release()}, Redis {redis_version} on "
            f"loopback; {peers}")  # fmt: skip


# ---- Table, JSON, README -----------------------------------------------------------------------------------------


def _cells(result: Result) -> list[str]:
    peers = ", ".join([f"{label} {number(value)}" for label, value in result.peers.items()]
                      + [f"{label} deaf after a break" for label in result.deaf])  # fmt: skip
    floor = f"{result.floor_label} {number(result.floor)}" if result.floor is not None else ""
    return [result.row.name, result.row.unit, number(result.ours), peers, floor,
            number(result.ratio), result.target, result.verdict]  # fmt: skip


HEAD = ["what", "unit", "ours", "peers", "floor", "ratio", "target", ""]


def table(results: list[Result]) -> str:
    lines = [HEAD, *(_cells(result) for result in results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    right = {2, 5}
    return "\n".join(
        "  ".join(cell.rjust(widths[i]) if i in right else cell.ljust(widths[i]) for i, cell in enumerate(line)).rstrip()
        for line in lines
    )


def as_json(results: list[Result], where: str) -> str:
    return json.dumps([{
        "name": result.row.name, "unit": result.row.unit, "ours": result.ours, "peers": result.peers,
        "floor": result.floor, "floor_name": result.floor_label or None, "ratio": result.ratio,
        "target": result.target or None, "reached": result.reached, "verdict": result.verdict,
        "problems": result.problems, "deaf": result.deaf, "machine": where,
    } for result in results], indent=1) + "\n"  # fmt: skip


# The rows of the README.
HEADLINES = (
    "C receive 128 B, tcp: CPU per message",
    "Node receive 128 B, tcp: CPU per message",
    "Python asyncio receive 128 B, tcp: CPU per message",
    "C publish, 1 thread, no outcomes",
    "Node publish, a Promise each",
    "Python asyncio publish, await each, 100 at once",
)
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def _write(path: pathlib.Path, lines: list[str], where: str) -> None:
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"{path} has no place for the table: it begins with {BEGIN} and ends with {END}")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(before + BEGIN + "\n" + "\n".join([*lines, "", f"Measured on: {where}."]) + "\n" + END + after)


def write_page(path: pathlib.Path, results: list[Result], where: str, chart: str | None) -> None:
    """Puts the rows that have a target between the two marks."""
    lines = ["| what | unit | ours | peers | floor | ratio | target | |", "|---|---|---:|---|---|---:|---|---|"]
    for result in results:
        if result.row.targets and not result.row.name.startswith("growth"):
            lines.append("| " + " | ".join(_cells(result)).replace("<=", "≤").replace(">=", "≥") + " |")
    _write(path, ([f"![CPU per received message]({chart})", ""] if chart else []) + lines, where)


def write_readme(path: pathlib.Path, results: list[Result], where: str) -> None:
    """Puts the headlines between the two marks: ours and the best of the others."""
    lines = ["| what | ours | next best | ratio |", "|---|---:|---|---:|"]
    for result in results:
        if result.row.name not in HEADLINES or result.ours is None or not result.peers:
            continue
        best = (max if result.row.more_is_better else min)(result.peers.items(), key=lambda peer: peer[1])
        lines.append(f"| {result.row.name}, {result.row.unit} | {number(result.ours)} | {best[0]} {number(best[1])} | "
                     f"{result.ours / best[1]:.2f} |")  # fmt: skip
    _write(path, lines, where)
