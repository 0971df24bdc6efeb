"""What the measures come to: medians, spreads and ratios, as data.

A result is plain data from the start, the same that `--json` writes; tables, plots and checks are
made from it.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypedDict

from .cases import question
from .catalogue import CONTENDERS

if TYPE_CHECKING:
    from .cases import Job, Plan
    from .runner import Measured


class Spread(TypedDict):
    """A figure over the rounds."""

    median: float
    low: float
    high: float
    rounds: int


class Row(TypedDict):
    """What came out of one job."""

    contender: str
    backend: str
    work: str
    size: int
    value: Spread | None
    ratios: dict[str, Spread]
    figures: dict[str, Spread]
    versions: dict[str, str]
    problem: str | None


class Answer(TypedDict):
    """What came out of one case."""

    case: str
    question: str
    reading: str
    unit: str | None
    counts: str
    comparisons: list[str]
    figures: list[str]
    rows: list[Row]


def spread(values: list[float]) -> Spread | None:
    """Return the median, the smallest and the largest of some values; None if there are none."""
    if not values:
        return None
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": len(values),
    }


def answer(name: str, plan: Plan, found: list[Measured]) -> Answer:
    """Return what was found for a case as data."""
    by_job = {measured.job: measured for measured in found}
    asked, reading = question(name)
    return {
        "case": name,
        "question": asked,
        "reading": reading,
        "unit": plan.unit,
        "counts": plan.counts,
        "comparisons": [comparison.title for comparison in plan.comparisons],
        "figures": list(plan.figures),
        "rows": [_row(measured, plan, by_job) for measured in found],
    }


def _row(measured: Measured, plan: Plan, by_job: dict[Job, Measured]) -> Row:
    job = measured.job
    ratios: dict[str, Spread] = {}
    for comparison in plan.comparisons:
        base = by_job.get(comparison.base(job))
        if base is not None and base is not measured:
            # Like with like: a busy machine makes all wait.
            by_the_wall = CONTENDERS[job.contender].clock == "wall"
            found = ratio(measured.values, base.walls if by_the_wall else base.values)
            if found is not None:
                ratios[comparison.title] = found
    figures = {name: spread([*rounds.values()]) for name, rounds in measured.figures.items()}
    return {
        "contender": job.contender,
        "backend": job.backend,
        "work": job.work,
        "size": job.size,
        "value": spread([*measured.values.values()]),
        "ratios": ratios,
        "figures": {name: figure for name, figure in figures.items() if figure is not None},
        "versions": measured.versions,
        "problem": measured.problem,
    }


def ratio(values: dict[int, float], base: dict[int, float]) -> Spread | None:
    """Return the ratios taken within each round that has both; None if no round has."""
    return spread([values[number] / base[number] for number in values if base.get(number)])
