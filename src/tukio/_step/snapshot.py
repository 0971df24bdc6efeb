"""A step as plain data, as the step is now.

Knows:  the step and its run, which are only read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.account import described
from .._model.detach import detached
from .._model.guard import attempt
from .._model.logs import Log
from .._model.state import FINISHED
from .log_fields import log_fields

if TYPE_CHECKING:
    from .._model.attempts import Attempt
    from .extras import Extras
    from .items import Work
    from .step import LiveStep

log: Log = Log("tukio.run")


def snapshot(step: LiveStep) -> dict[str, Any]:
    """Return id, start, end (aware UTC or None), state, inputs and outputs of a step."""
    return _times_of(step) | {
        "inputs": detached(step.input_data),
        "outputs": detached(step.output_data),
    }


def _times_of(step: LiveStep) -> dict[str, Any]:
    instant = step.run.backend.wall_time
    return {
        "id": step.uid,
        "start": None if step.started_at is None else instant(step.started_at),
        "end": None if step.ended_at is None else instant(step.ended_at),
        "state": step.state.value,
    }


def full_snapshot(step: LiveStep, *, data: bool = True) -> dict[str, Any]:
    """Return a snapshot with everything that a report of the run shows; see `TaskRun.report`.

    Args:
        step: The step.
        data: Whether inputs, outputs and what the holder reports are in it.
    """
    found = snapshot(step) if data else _times_of(step)
    if step.chosen is not None:
        tasks = step.run.plan.shape.tasks
        found["chosen"] = [tasks[number].uid for number in step.chosen]
    if step._extras is not None:
        found |= _of_extras(step, step._extras, data=data)
    found |= _told_of_ends(step)
    # Not `or`: an exception of a user's class may be false, or raise when it is asked.
    error = step.run.errors.get(step.template.uid)
    error = step.error if error is None else error
    if error is not None:
        found["error"] = described(error)
    if not data:
        return found
    reporting, problem = attempt(_reporting, step)
    if problem is not None:
        uid, extra = step.template.uid, log_fields(step.run, step)
        log.error("report() of task '%s' failed", uid, exc_info=problem, extra=extra)
        found["reporting"] = None
    elif reporting:
        [found["reporting"]] = reporting
    return found


def _told_of_ends(step: LiveStep) -> dict[str, Any]:
    """Return what there is to tell of the attempts before a step, and of its failure."""
    found: dict[str, Any] = {}
    # The template that a run was rescued with may have no `retry` any more.
    made = () if step._extras is None else step._extras.attempts
    if made or step._retry is not None:
        found |= _attempts_of(step, made)
    if step._is_handled():
        found["handled"] = True
    return found


def _of_extras(step: LiveStep, extras: Extras, *, data: bool) -> dict[str, Any]:
    """Return what is shown of the optional parts of a step."""
    found: dict[str, Any] = {}
    if extras.overran:
        found["overran"] = extras.overran
    if extras.child is not None:
        found["child"] = extras.child.report(data=data)
    if extras.items is not None:
        found |= _items(step, extras.items, data=data)
    return found


def _items(step: LiveStep, work: Work, *, data: bool) -> dict[str, Any]:
    """Return what is shown of the items of a mapped task."""
    items, begun, errors = work.items, work.begun(), step.run.errors
    children = {place: child.report(data=data) for place, child in items.children.items()}
    beside = {
        place: described(errors[uid]) for place, uid in items.beside(step.template.uid, errors)
    }
    has_flaws = items.has_flaws() or begun or beside or children
    may_be_undone = bool(items.results) and work.common.undo is not None
    if step.state is FINISHED or (step.state.done() and not may_be_undone):
        # The outputs say the rest; or nobody asks for it any more.
        return {"items": items.flaws(begun, beside, children, data=data)} if has_flaws else {}
    attempts: dict[int, Any] = {
        place: {"attempts": [one.as_dict() for one in made]} for place, made in work.tried.items()
    }
    for item in work.steps():
        extras = item._extras
        if extras is not None and extras.child is not None:
            children[item.index] = extras.child.report(data=data)
        made = () if extras is None else extras.attempts
        if made or item._retry is not None:
            tried = _attempts_of(item, made)
            if tried:
                attempts[item.index] = tried
    flaws = items.flaws(begun, beside, children, data=data)
    return {"items": items.report(flaws, attempts, data=data)}


def _attempts_of(step: LiveStep, made: tuple[Attempt, ...]) -> dict[str, Any]:
    """Return the attempts before a step, when it is due, and how long the task was tried so far."""
    backend, extras, found = step.run.backend, step._extras, dict[str, Any]()
    if made:
        found["attempts"] = [one.as_dict() for one in made]
    if extras is not None and extras.due is not None:
        found["due"] = backend.wall_time(extras.due)
    first = None if extras is None else extras.first_at
    first = step.started_at if first is None else first
    if first is not None and step.ended_at is None:
        found["elapsed"] = backend.time() - first
    return found


def _reporting(step: LiveStep) -> tuple[Any, ...]:
    """Return what the holder of a step reports, in a tuple of one; empty if it has no `report`."""
    report = getattr(step.holder, "report", None)
    return () if report is None else (detached(report()),)
