"""The two plots of RESULTS.md, as SVG: lines over the number at once, bars against the peers.

Both axes of figures are logarithmic: equal ratios are equal lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .catalogue import OURS, TO_OURS
from .report import number
from .shapes import README

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .results import Answer

BACKEND = "asyncio"
BARS_AT = 100
"""Workflows at once in the bar chart."""

WIDTH, HEIGHT, MARGIN = 440, 320, 60
BAR_HEIGHT, LABEL_WIDTH, BAR_WIDTH = 18, 190, 420

# Told apart by people who see colours differently, too (Okabe and Ito), on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

Points = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Plot:
    """A drawing: its title, its file name and its text."""

    title: str
    name: str
    svg: str


def draw(answers: list[Answer]) -> list[Plot]:
    """Return the plots that there is data for."""
    by_case = {answer["case"]: answer for answer in answers}
    panels: dict[str, Points] = {
        case: points(by_case[case]) for case in ("noop", "pause") if case in by_case
    }
    drawn = []
    if any(len(line) > 1 for panel in panels.values() for line in panel.values()):
        title = f"Cost of a task over the number of workflows at once, {BACKEND}"
        drawn.append(Plot(title, "cost.svg", lines(title, panels)))
    if "peers" in by_case and (found := bars(by_case["peers"])):
        title = f"Cost of a workflow over that of tukio, {BARS_AT} at once"
        drawn.append(Plot(title, "peers.svg", bar_chart(title, found)))
    return drawn


# Lines -------------------------------------------------------------------------------------------


def points(answer: Answer) -> Points:
    """Return contender -> (workflows at once, µs per task), in the order of the sizes."""
    found: Points = {}
    for row in answer["rows"]:
        if row["backend"] == BACKEND and row["value"] is not None:
            line = found.setdefault(row["contender"], [])
            line.append((row["size"], row["value"]["median"] / len(README)))
    return {name: sorted(line) for name, line in found.items()}


def lines(title: str, panels: dict[str, Points]) -> str:
    """Return a drawing with a panel of lines for each case, side by side."""
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    colour: dict[str, str] = dict(zip(names, COLOURS * len(names), strict=False))
    everything = [point for panel in panels.values() for line in panel.values() for point in line]
    across = Scale([x for x, _ in everything], MARGIN, WIDTH - 30)
    up = Scale([y for _, y in everything], HEIGHT - MARGIN, 40)
    parts = []
    for at, (case, panel) in enumerate(panels.items()):
        inside = [*axes(f"{case}: µs per task", across, up), *_lines(panel, across, up, colour)]
        parts.append(f'<g transform="translate({at * WIDTH} 20)">{"".join(inside)}</g>')
    for at, name in enumerate(names):
        y = HEIGHT + 30 + at * 18
        parts.append(box(MARGIN, y - 9, 12, 10, colour[name]))
        parts.append(text(MARGIN + 20, y, name))
    return svg(title, WIDTH * len(panels), HEIGHT + 40 + 18 * len(names), parts)


def _lines(panel: Points, across: Scale, up: Scale, colour: dict[str, str]) -> Iterator[str]:
    for name, line in panel.items():
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        width = 3 if name == OURS else 1.5
        yield (
            f'<polyline points="{path}" fill="none" stroke="{colour[name]}"'
            f' stroke-width="{width}"><title>{escape(name)}</title></polyline>'
        )
        for x, y in line:
            yield f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour[name]}"/>'


def axes(title: str, across: Scale, up: Scale) -> Iterator[str]:
    """Yield the two axes of a panel, with their marks."""
    yield text(MARGIN, 20, title)
    for value in up.marks():
        y = up(value)
        yield f'<path d="M{MARGIN} {y:.1f}H{WIDTH - 30}" stroke="#ddd"/>'
        yield text(MARGIN - 6, y + 4, f"{value:,g}", anchor="end")
    for value in across.marks():
        yield text(across(value), HEIGHT - MARGIN + 18, f"{value:,g}", anchor="middle")
    yield text((MARGIN + WIDTH) / 2, HEIGHT - MARGIN + 36, "workflows at once", anchor="middle")


# Bars --------------------------------------------------------------------------------------------


def bars(answer: Answer) -> list[tuple[str, float]]:
    """Return what to draw: whose cost, and that cost over ours; empty if we were not measured."""
    rows = [
        row
        for row in answer["rows"]
        if row["size"] == BARS_AT and row["backend"] == BACKEND and row["value"] is not None
    ]
    ratios = {
        (row["contender"], row["work"]): row["ratios"][TO_OURS]["median"]
        for row in rows
        if TO_OURS in row["ratios"]
    }
    ours = {(OURS, row["work"]): 1.0 for row in rows if row["contender"] == OURS}
    return [(f"{name}, {work}", ratio) for (name, work), ratio in (ours | ratios).items()]


def bar_chart(title: str, found: list[tuple[str, float]]) -> str:
    """Return a drawing with a bar for each ratio, the smallest first."""
    found = sorted(found, key=lambda item: item[1])
    scale = Scale([0.1, *(ratio for _, ratio in found)], LABEL_WIDTH, LABEL_WIDTH + BAR_WIDTH)
    parts = [text(10, 24, f"{title} (logarithmic)")]
    for at, (label, ratio) in enumerate(found):
        y = 44 + at * (BAR_HEIGHT + 8)
        colour = COLOURS[0] if label.startswith(f"{OURS},") else "#999999"
        parts += [
            text(LABEL_WIDTH - 8, y + 13, label, anchor="end"),
            box(LABEL_WIDTH, y, scale(ratio) - LABEL_WIDTH, BAR_HEIGHT, colour),
            text(scale(ratio) + 6, y + 13, f"{number(ratio)} times"),
        ]
    height = 60 + len(found) * (BAR_HEIGHT + 8)
    return svg(title, LABEL_WIDTH + BAR_WIDTH + 80, height, parts)


# Drawing -----------------------------------------------------------------------------------------


class Scale:
    """Puts figures on a logarithmic axis whose ends are powers of ten.

    Args:
        values: What must fit on it; all positive.
        start: Where the axis begins, in pixels.
        end: Where it ends.
    """

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._start = start
        self._end = end

    def __call__(self, value: float) -> float:
        """Return where a figure is, in pixels."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def marks(self) -> list[float]:
        """Return the powers of ten on the axis."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def text(x: float, y: float, words: str, *, anchor: str = "start") -> str:
    """Return words at a place; `anchor` says which part of them is there."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """Return a filled rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" fill="{colour}"/>'


def svg(title: str, width: float, height: float, parts: list[str]) -> str:
    """Return a whole drawing."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        ' font-family="sans-serif" font-size="12" role="img">'
    )
    white = box(0, 0, width, height, "#fff")
    return "\n".join([head, f"<title>{escape(title)}</title>", white, *parts, "</svg>"]) + "\n"
