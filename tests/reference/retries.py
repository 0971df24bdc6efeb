"""What follows when a task has failed that is to be tried again.

Knows:  the run, for what is asked of it meanwhile.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from . import maps

if TYPE_CHECKING:
    from .model import Run
    from .parts import Step

FINAL = {"InvalidResult", "NotAwaited"}
"""Errors that would be the same the next time."""


def left(run: Run, step: Step) -> float:
    """Return for how long the task of a step that has begun may still be tried."""
    within = (step.task.get("retry") or {}).get("within") or math.inf
    return float(begun(step) + within - run.now)


def begun(step: Step) -> float:
    """Return when the first attempt began."""
    return (step.start or 0.0) if step.first is None else step.first


def wait_after(run: Run, step: Step, error: str) -> float | None:
    """Return how long the task of a step that has failed waits; None if it has failed for good."""
    words = step.task.get("retry")
    ends = run.ending and not step.loose
    if not words or ends or error in FINAL or step.cut in {"task", "run"} or step.called_off:
        return None
    remaining = left(run, step)
    if error == "TaskTimedOut" and (step.task.get("on_timeout") != "retry" or remaining <= 0):
        return None
    if step.attempt >= (words.get("attempts", 3) or math.inf):
        return None
    wait = min(words.get("initial", 1) * words.get("factor", 2) ** (step.attempt - 1), 60)
    return None if wait >= remaining else wait


def asked(step: Step, error: str) -> str | None:
    """Return what the predicate of a task raises, or "" if it says no; None if it says yes."""
    if "retry_if" not in step.task["retry"]:
        return None
    if error == "TimeoutError":
        return "LookupError"
    return None if step.attempt == 1 and error != "TukioTaskError" else ""


def tries_again(run: Run, step: Step, error: str, wait: float) -> None:
    """Let the task of a step that has failed wait for its next attempt."""
    told = "ExceptionGroup" if step.beside else error
    content = {"exception": told, "attempt": step.attempt, "delay": wait}
    run.end(step, "retried", "task-retry", content)
    new = run.again(step)
    new.attempt, new.first = step.attempt + 1, begun(step)
    if new.whole is not None:
        new.whole.work.tried[new.place] = step.attempt
    put_off(run, new, run.now + wait)
    maps.put_off(run, new)


def put_off(run: Run, step: Step, due: float) -> None:
    """Let a step wait for its instant."""
    step.due = due
    run.waiting.append(step)
    run.later(due, partial(come_due, run, step), step)


def come_due(run: Run, step: Step) -> None:
    """Let a step be due that has waited for its instant."""
    if step in run.waiting:
        run.waiting.remove(step)
        run.forget(step)
        run.ready.append(step)
