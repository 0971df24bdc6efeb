"""The limits of a step: how long it may take, be tried, and show no sign of life.

Knows:  the run, whose instant it is, and which cuts a step.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from . import cuts, retries

if TYPE_CHECKING:
    from .model import Run
    from .parts import Step


def begin(run: Run, step: Step) -> None:
    """Count from now on."""
    remaining = retries.left(run, step)
    limit = min(step.task.get("timeout") or math.inf, remaining)
    if limit < math.inf:
        run.later(run.now + limit, partial(cuts.cut, run, step, "limit"), step)
    if idle := step.task.get("idle_timeout"):
        step.beat = run.now
        run.later(run.now + idle, partial(look, run, step), step)


def look(run: Run, step: Step) -> None:
    """Look for a sign of life, and again when the next one would be missed."""
    due = step.beat + step.task["idle_timeout"]
    if run.now < due:
        run.later(due, partial(look, run, step), step)
    else:
        step.silent = True
        cuts.cut(run, step, "limit")


def has_overrun(run: Run, step: Step) -> bool:
    """Say whether a step that comes to its end, and was cut, is late.

    Cut for another reason than a limit, it owes no signs of life from then on.
    """
    limit, idle = step.task.get("timeout"), step.task.get("idle_timeout")
    if limit and run.now > (step.start or 0.0) + limit:
        return True
    return bool(idle and (step.silent or step.cut == "limit") and run.now > step.beat + idle)
