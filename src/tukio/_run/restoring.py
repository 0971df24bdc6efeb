"""A run brought to where a report says that it was, and started from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.event import Event
from .._model.gathering import plan_for
from .._model.policy import ErrorPolicy
from .._model.rescue import restore as restore_plan
from .._model.state import FAILED, SKIPPED, TIMED_OUT, Move, WorkflowExecState, after
from .appointment import appoint
from .item_errors import of_items
from .later import put_off
from .ledger import Ledger

if TYPE_CHECKING:
    from .._model.record import RunRecord
    from .._model.shape import Shape
    from .run import Run


def restore(run: Run, record: RunRecord, shape: Shape) -> None:
    """Bring a run to where a report says that it was; `go_on` starts it.

    Args:
        run: The run.
        record: The report.
        shape: The shape of the template that the report was compared with.

    Raises:
        IllegalMove: It was started, or cancelled, before. Nothing changes.
        RescueError: The report contradicts the template. Nothing changes.
    """
    after(run.phase, Move.START)
    plan = plan_for(shape, run.environment.kinds.maker(shape), run)
    facts = restore_plan(plan, record)
    plan.replace(run.plan)
    run.plan = plan
    # For a run without an engine, the template may have changed since the run was made.
    run.template = shape.template
    run._uid = record.uid
    if record.appointment is not None:
        appoint(run, record.appointment)
    run.started_at = run.backend.instant(record.start)
    if run.template.timeout:
        run.limit = run.backend.time() + run.template.timeout - record.elapsed
    root = run.plan.steps[run.plan.shape.root]
    assert root is not None
    data = root.input_data
    run._trigger = Event(data) if isinstance(data, dict) else data
    run.errors = {
        step.template.uid: step.error
        for step in run.plan.reached()
        if step.error is not None and step.state is not SKIPPED
    }
    run.errors |= of_items(run.plan.steps)
    # Kept in any case: a task may ask for its parents later, and instants do not tell.
    run.ledger = run.ledger or Ledger()
    run.ledger.take_over(run.plan.shape, facts)
    run.ledger.forked_from = record.forked_from


def go_on(run: Run) -> None:
    """Start a run that was restored.

    Raises:
        IllegalMove: It was started, or cancelled, before.
    """
    run.phase = after(run.phase, Move.START)
    run._end_by(run.limit, TIMED_OUT)
    run._begun = True
    _put_off(run)
    # Handlers run in here, if nothing is ready, and may stop the run.
    run.announce_after(WorkflowExecState.BEGIN.value, run.plan.ready)
    # Not whether there are errors: one of a clean-up harms nobody else.
    if run.plan.has_failed() and run.template.on_error is ErrorPolicy.ABORT:
        run.start_stopping(FAILED)
    run.launch()


def _put_off(run: Run) -> None:
    """Have those steps wait whose next attempts are due later."""
    now = run.backend.time()
    for step in list(run.plan.ready):
        due = None if step._extras is None else step._extras.due
        if due is not None and due > now:
            run.plan.ready.remove(step)
            put_off(run, step, due)
        elif due is not None:
            step.extras.due = None
