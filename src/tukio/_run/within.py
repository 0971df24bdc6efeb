"""The time in which a task may be tried: no attempt begins after it, and one at work is cut.

Knows:  the step and its driver, whose scope keeps the limit of the attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.task_ends import TaskTimedOut

if TYPE_CHECKING:
    from .._step.step import LiveStep
    from .run import Run


def first_begin(step: LiveStep) -> float:
    """Return when the first attempt at the task of a step began; the step has begun."""
    assert step.started_at is not None
    first = None if step._extras is None else step._extras.first_at
    return step.started_at if first is None else first


def time_left(step: LiveStep, now: float) -> float | None:
    """Return the seconds in which a task may still be tried; None if there is no limit."""
    words = step._retry
    within = None if words is None else words.get("within")
    return first_begin(step) + within - now if within else None


def check_time_left(step: LiveStep, now: float) -> float | None:
    """Return the seconds in which a task may still be tried; None if there is no limit.

    Raises:
        TaskTimedOut: There are none.
    """
    left = time_left(step, now)
    if left is not None and left <= 0:
        assert step.template._retry is not None
        raise TaskTimedOut(step.template.uid, step.template._retry["within"])
    return left


def keep_within(run: Run, step: LiveStep) -> None:
    """Called when an attempt begins: have it cut when the time is over.

    Raises:
        TaskTimedOut: It is over already.
    """
    now = run.backend.time()
    left = check_time_left(step, now)
    if left is None:
        return
    driver = step.driver
    assert driver is not None
    if driver.scope is not None:
        # Of a step that awaits nothing there is none, and it cannot be cut.
        driver.scope.deadline = min(driver.scope.deadline, now + left)
        driver.has_step_deadline = True
        run.environment.watchdog.watch(run, now + left)
