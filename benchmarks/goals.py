"""What the project promises to cost, and whether it does.

Knows:  answers as data; nothing of how they were measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalogue import OURS, TO_BEFORE, TO_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .results import Answer, Row

SIZE = 1_000
"""The goals are for so many workflows at once."""

CLEARLY = 1.5
"""A ratio is clearly above its goal when it is this many times the goal: machines are noisy."""


@dataclass(frozen=True)
class Goal:
    """One row of the table of goals: a ratio should be this at most."""

    case: str
    backend: str
    ratio: str
    most: float

    def __str__(self) -> str:
        return f"{self.case} on {self.backend} {self.ratio}"


@dataclass(frozen=True)
class Verdict:
    """A goal, and what was found; None if it was not measured, for the reason given."""

    goal: Goal
    found: float | None
    reason: str | None = None

    @property
    def word(self) -> str:
        """What to say of it."""
        if self.found is None:
            return f"not measured: {self.reason}"
        if self.found <= self.goal.most:
            return "met"
        return "missed, clearly" if self.failed else "missed"

    @property
    def failed(self) -> bool:
        """Whether it was not measured, or is clearly above the goal."""
        return self.found is None or self.found > self.goal.most * CLEARLY


def _goals(ratio: str, **most: tuple[float, float]) -> list[Goal]:
    return [
        Goal(case, backend, ratio, limits[at])
        for backend, limits in most.items()
        for at, case in enumerate(("noop", "pause"))
    ]


TO_LIMIT_GOALS = _goals(TO_LIMIT, asyncio=(0.20, 0.48), uvloop=(0.18, 0.45), trio=(0.32, 0.64))
TO_BEFORE_GOALS = _goals(TO_BEFORE, asyncio=(0.15, 0.42), uvloop=(0.15, 0.40))
GOALS = [*TO_LIMIT_GOALS, *TO_BEFORE_GOALS]


def judge(answers: Iterable[Answer], goals: Iterable[Goal], size: int = SIZE) -> list[Verdict]:
    """Return a verdict for each goal whose case was asked, in the order of the goals."""
    rows = {
        (answer["case"], row["backend"]): row
        for answer in answers
        for row in answer["rows"]
        if row["contender"] == OURS and row["size"] == size and row["work"] == answer["case"]
    }
    asked = {case for case, _ in rows}
    return [
        _verdict(goal, rows.get((goal.case, goal.backend))) for goal in goals if goal.case in asked
    ]


def _verdict(goal: Goal, row: Row | None) -> Verdict:
    if row is None:
        return Verdict(goal, None, "nobody asked")
    if row["problem"]:
        return Verdict(goal, None, row["problem"])
    found = row["ratios"].get(goal.ratio)
    if found is None:
        return Verdict(goal, None, "what it is compared with was not measured")
    return Verdict(goal, found["median"])
