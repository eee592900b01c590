"""The README's chart: CPU per received message, ours beside the peers of each language, as an SVG.

One set of colours that is readable on white and on black: an image in a page cannot know which of both the page is.
"""

from __future__ import annotations

import dataclasses
from xml.sax.saxutils import escape

from report import Result, number

WIDTH, LEFT, RIGHT, TOP = 760, 190, 70, 64
BAR, GAP, GROUP_GAP = 18, 5, 22

STYLE = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #747c86 }
  .title { font-size: 15px; font-weight: 700 } .language { font-weight: 700 }
  .ours { fill: #23936f } .peer { fill: #8c959f } .floor { fill: #c9a227 }
  .value { font-variant-numeric: tabular-nums }
  .axis { stroke: #8c959f; stroke-width: 1 }
"""


@dataclasses.dataclass(frozen=True)
class Bar:
    label: str
    value: float
    kind: str  # "ours", "peer" or "floor"


def bars_by_language(results: list[Result]) -> dict[str, list[Bar]]:
    """Of the receive rows at 128 bytes over TCP; the fastest first, the floor in C only."""
    languages: dict[str, list[Bar]] = {}
    for result in results:
        language, _, rest = result.row.name.partition(" receive 128 B, tcp: CPU")
        if not rest or result.ours is None:
            continue
        bars = [Bar("fanwire", result.ours, "ours")]
        bars += [Bar(label, value, "peer") for label, value in result.peers.items()]
        if language == "C" and result.floor is not None:
            bars.append(Bar(result.floor_label, result.floor, "floor"))
        languages[language] = sorted(bars, key=lambda bar: bar.value)
    return languages


def draw(results: list[Result], where: str) -> str | None:
    """The SVG's text; None when nothing of it was measured."""
    languages = bars_by_language(results)
    if not languages:
        return None
    longest = max(bar.value for bars in languages.values() for bar in bars)
    scale = (WIDTH - LEFT - RIGHT) / longest
    out: list[str] = []
    y = TOP
    for language, bars in languages.items():
        top = y
        for i, bar in enumerate(bars):
            middle = y + BAR / 2 + 4.5
            if i == 0:
                out.append(f'<text class="language" x="12" y="{middle:g}">{escape(language.split(" ")[0])}</text>')
                if " " in language:
                    out.append(f'<text x="12" y="{middle + 16:g}" font-size="11">{escape(language.split(" ", 1)[1])}</text>')
            length = max(1.0, bar.value * scale)
            out.append(f'<text x="{LEFT - 8}" y="{middle:g}" text-anchor="end">{escape(bar.label)}</text>')
            out.append(f'<rect class="{bar.kind}" x="{LEFT}" y="{y:g}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            out.append(f'<text class="value" x="{LEFT + length + 6:.1f}" y="{middle:g}">{number(bar.value)} ns</text>')
            y += BAR + GAP
        y = max(y, top + 36) + GROUP_GAP
    height = y + 16
    axis = f'<line class="axis" x1="{LEFT}" y1="{TOP - 8}" x2="{LEFT}" y2="{y - GROUP_GAP + 4}"/>'
    title = "CPU time per received message of 128 bytes, nanoseconds (less is better)"
    note = where.split(";")[0]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="26">{escape(title)}</text>',
        f'<text x="12" y="45">{escape(note)}</text>',
        axis,
        *out,
        "</svg>",
        "",
    ])  # fmt: skip
