"""How a run goes, or went: in one word, and as an error.

Knows:  the run and its steps, to read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._model.changes import exact
from .._model.display import shown
from .._model.errors import WorkflowCancelled, WorkflowTimedOut, failure_of
from .._model.state import (
    CANCELLED,
    FAILED,
    FINISHED,
    NEW,
    OVER,
    RUNNING,
    SUSPENDED,
    TIMED_OUT,
)
from .._model.step import LOOSE
from .._model.task_ends import TaskCancelled
from .._model.time_limits import goes_well_at_limit
from .._step.items import work_of
from .closing import closing_in
from .item_errors import unhandled_of
from .unhandled import unhandled_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._step.step import LiveStep
    from .run import Run

ENDED: Final = {FAILED: "failed", TIMED_OUT: "timeout", CANCELLED: "cancelled"}
UNDERWAY: Final = {NEW: "queued", RUNNING: "running", SUSPENDED: "suspended"}


def status_of(run: Run, steps: Sequence[LiveStep | None]) -> str:
    """Return how a run stands, in one word; see `RunView.status`."""
    if run.phase is RUNNING and _only_waits(run):
        return "waiting"
    if run.phase is not OVER:
        stopping = "stuck" if run.environment.watchdog.has_named(run) else "closing"
        return UNDERWAY.get(run.phase, stopping)
    assert run.ending is not None
    if run.ending is FINISHED:
        return "flawed" if unhandled(run, steps) else "finished"
    return ENDED[run.ending]


def _only_waits(run: Run) -> bool:
    """Return whether no step of a run is at work or due, and one waits for an instant."""
    is_at_work = run.driver_pending or run.plan.ready or any(one.step for one in run.drivers)
    return bool(run.waiting) and not is_at_work


def unhandled(run: Run, steps: Sequence[LiveStep | None]) -> dict[str, BaseException]:
    """Return what went wrong, by the ids of tasks in declared order.

    With a run that was cancelled itself, or has reached its limit, the tasks that this has cut are
    not listed.
    """
    errors = unhandled_errors(run, steps)
    found: dict[str, BaseException] = {}
    closing = closing_in(steps)
    for step in steps if closing is None else [*steps, *closing.steps]:
        if step is None:
            continue
        uid = step.template.uid
        if uid in errors:
            found[uid] = errors[uid]
        elif step.state is TIMED_OUT and not goes_well_at_limit(step.template):
            found[uid] = step._limit_error()
        elif step.state is CANCELLED and (step.number == LOOSE or run.ending in (None, FINISHED)):
            found[uid] = TaskCancelled(uid)
        work = work_of(step)
        if work is not None:
            found |= unhandled_of(run.errors, step.template, work)
    return found


def problem_of(run: Run, steps: Sequence[LiveStep | None]) -> Exception | None:
    """Return the error of a run that is over, and has not failed by itself; None if all went well.

    The errors of tasks are the cause of the error of a run that was cut.
    """
    problems = unhandled(run, steps)
    if run.ending is FINISHED:
        how = "finished with errors"
        return failure_of(run.template.uid, problems, how) if problems else None
    kind = WorkflowTimedOut if run.ending is TIMED_OUT else WorkflowCancelled
    error = kind(run.uid, run.reason if run.ending is CANCELLED else None)
    if problems:
        error.__cause__ = failure_of(run.template.uid, problems)
    return error


def leads_nowhere(step: LiveStep) -> bool:
    """Return whether a run comes to an end at a step: it has no successors, or has chosen none."""
    successors = step.run.plan.shape.successors[step.number]
    return not (successors if step.chosen is None else step.chosen)


def handed_over(run: Run, workflow: Any) -> Any:
    """Return what came of a run that has come to its end, for whoever has started it.

    That is what its one end task returned; if there are several, a dict of their ids to that.
    """
    output = workflow.output
    *successors, _ = run.plan.shape.successors
    # One that has come to its end before its last task has chosen to: this is what came of it.
    if sum(not leads_to for leads_to in successors) > 1:
        return output
    return next(iter(output.values()), None)


def reason_from(given: Any) -> str | None:
    """Return the reason of a cancellation as a text; None if there is none."""
    return exact(given) if given is None or isinstance(given, str) else shown(given)
