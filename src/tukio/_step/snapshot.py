"""A step as plain data, as the step is now.

Knows:  the step and its run, which are only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.account import described
from .._model.detach import detached
from .._model.guard import attempt
from .._model.logs import Log
from .log_fields import log_fields

if TYPE_CHECKING:
    from .step import LiveStep

log: Log = Log("tukio.run")


def snapshot(step: LiveStep) -> dict[str, Any]:
    """Return id, start, end (aware UTC or None), state, inputs and outputs of a step."""
    instant = step.run.backend.wall_time
    return {
        "id": step.uid,
        "start": None if step.started_at is None else instant(step.started_at),
        "end": None if step.ended_at is None else instant(step.ended_at),
        "state": step.state.value,
        "inputs": detached(step.input_data),
        "outputs": detached(step.output_data),
    }


def full_snapshot(step: LiveStep) -> dict[str, Any]:
    """Return a snapshot with everything that a report of the run shows; see `TaskRun.report`."""
    found = snapshot(step)
    if step.chosen is not None:
        tasks = step.run.plan.shape.tasks
        found["chosen"] = [tasks[number].uid for number in step.chosen]
    if step._extras is not None and step._extras.overran:
        found["overran"] = step._extras.overran
    # Not `or`: an exception of a user's class may be false, or raise when it is asked.
    error = step.run.errors.get(step.template.uid)
    error = step.error if error is None else error
    if error is not None:
        found["error"] = described(error)
    reporting, problem = attempt(_reporting, step.holder)
    if problem is not None:
        uid, extra = step.template.uid, log_fields(step.run, step)
        log.error("report() of task '%s' failed", uid, exc_info=problem, extra=extra)
        found["reporting"] = None
    elif reporting:
        [found["reporting"]] = reporting
    return found


def _reporting(holder: Any) -> tuple[Any, ...]:
    """Return what a holder reports, in a tuple of one; empty if it has no `report`."""
    report = getattr(holder, "report", None)
    return () if report is None else (detached(report()),)
