"""What follows when a task has failed that is to be tried again.

Knows:  the run, for what is asked of it meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Run
    from .parts import Step

FINAL = {"InvalidResult", "NotAwaited"}
"""Errors that would be the same the next time."""


def tries_again(run: Run, step: Step, error: str) -> bool:
    """Let the task of a step that has failed wait for its next attempt; say whether it does."""
    words = step.task.get("retry")
    if (
        not words
        or (run.ending and not step.loose)
        or error in FINAL
        or step.cut in {"task", "run"}
    ):
        return False
    if error == "TaskTimedOut" and step.task.get("on_timeout") != "retry":
        return False
    if step.attempt >= words.get("attempts", 3):
        return False
    wait = min(words.get("initial", 1) * words.get("factor", 2) ** (step.attempt - 1), 60)
    told = "ExceptionGroup" if step.beside else error
    content = {"exception": told, "attempt": step.attempt, "delay": wait}
    run.end(step, "retried", "task-retry", content)
    new = run.again(step)
    new.attempt = step.attempt + 1
    run.waiting.append(new)
    run.later(run.now + wait, partial(come_due, run, new), new)
    return True


def come_due(run: Run, step: Step) -> None:
    """Let a step be due that has waited for its instant."""
    if step in run.waiting:
        run.waiting.remove(step)
        run.forget(step)
        run.ready.append(step)
