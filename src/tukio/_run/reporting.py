"""A run as plain data, as it is now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._model.state import CANCELLED
from .._model.undo_order import id_of_each
from .._step.snapshot import full_snapshot
from .closing import closing_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .._step.step import LiveStep
    from .run_state import RunState


def report_of(
    run: RunState, steps: Sequence[LiveStep | None], *, data: bool = True
) -> dict[str, Any]:
    """Return a snapshot of what is run and of its execution; see `Workflow.report`.

    Args:
        run: The run.
        steps: The step of each task, by number; None where none was reached.
        data: Whether inputs, outputs and what holders report are in it.
    """
    start, end = times_of(run)
    document, tasks = run.plan.shape.edition.describe()
    for task, step in zip(tasks, steps, strict=True):
        task["exec"] = None if step is None else full_snapshot(step, data=data)
    execution: dict[str, Any] = {
        "id": run.uid,
        "start": start,
        "end": end,
        "state": run.state.value,
    }
    if run.reason is not None and run.ending is CANCELLED:
        execution["reason"] = run.reason
    if run.appointment is not None:
        execution["appointment"] = run.appointment
    if run.limit < math.inf:
        execution["elapsed"] = (run.template.timeout or 0) - (
            run.limit - _limited_until(run, steps)
        )
    if run.ledger is not None:
        execution["order"] = id_of_each(run.ledger.order, run.plan.shape)
        if run.ledger.forked_from is not None:
            execution["forked_from"] = run.ledger.forked_from
    closing = closing_in(steps)
    if closing is not None and closing.began_at is not None and run.ending is not None:
        execution["ending"] = run.ending.value
        document["closing"] = [_in_closing(step, data=data) for step in closing.steps]
    return document | {"exec": execution}


def _limited_until(run: RunState, steps: Sequence[LiveStep | None]) -> float:
    """Return until when the time limit of a run counts: what closes it has one of its own."""
    closing = closing_in(steps)
    if closing is not None and closing.began_at is not None:
        return closing.began_at
    return run.backend.time() if run.ended_at is None else run.ended_at


def _in_closing(step: LiveStep, *, data: bool) -> dict[str, Any]:
    """Return a step of the closing in the form of a task and its execution."""
    found = step.template.as_dict() | {"exec": full_snapshot(step, data=data)}
    undone = step.parent
    return found if undone is None else found | {"undoes": undone.template.uid}


def times_of(run: RunState) -> list[datetime | None]:
    """Return when a run started and when it ended: aware UTC, or None."""
    instant = run.backend.wall_time
    return [None if at is None else instant(at) for at in (run.started_at, run.ended_at)]
