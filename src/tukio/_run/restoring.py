"""A run brought to where a report says that it was, and started from there."""

from __future__ import annotations

from contextvars import copy_context
from itertools import dropwhile
from typing import TYPE_CHECKING

from .._model.after_failure import aborts
from .._model.closing_words import compensation_id
from .._model.decoding import find_lost
from .._model.display import listed
from .._model.event import Event
from .._model.facts import RunClosing, StepDue, StepEnded
from .._model.gathering import plan_for
from .._model.record import refuse
from .._model.rescue import restore as restore_plan
from .._model.state import CANCELLED, FAILED, SKIPPED, TIMED_OUT, Move, WorkflowExecState, after
from .appointment import appoint
from .closing import closing_in, closing_of
from .item_errors import beside_items, of_items
from .later import put_off
from .ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._model.facts import Fact
    from .._model.record import RunRecord, StepRecord
    from .._model.shape import Shape
    from .._step.step import LiveStep
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
    if record.ending is not None:
        _check_closing(record, shape)
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
    run.errors |= of_items(run.plan.steps) | beside_items(facts)
    # Kept in any case: a task may ask for its parents later, and instants do not tell.
    run.ledger = run.ledger or Ledger()
    run.ledger.take_over(run.plan.shape, facts)
    run.ledger.forked_from = record.forked_from
    if run.plan.shape.closing is not None:
        _note_begun(run, record, facts)
    if record.ending is not None:
        _take_closing(run, record, facts)


def go_on(run: Run) -> None:
    """Start a run that was restored.

    Raises:
        IllegalMove: It was started, or cancelled, before.
    """
    run.phase = after(run.phase, Move.START)
    if run.ending is not None:
        _go_on_closing(run)
        return
    run._end_by(run.limit, TIMED_OUT)
    run._begun = True
    _put_off(run)
    # Handlers run in here, if nothing is ready, and may stop the run.
    run.announce_after(WorkflowExecState.BEGIN.value, run.plan.ready)
    if any(map(_has_aborted, run.plan.reached())):
        run.start_stopping(FAILED)
    run.launch()


def _check_closing(record: RunRecord, shape: Shape) -> None:
    """Make sure that a run can go on closing as a report says.

    Raises:
        RescueError: The report contradicts the template, or lacks data that is to be undone.
    """
    words = shape.closing
    if unknown := [uid for uid in record.closing if words is None or not words.know(uid)]:
        refuse(record, f"it closes with tasks that are not in the template: {listed(unknown)}")
    for number in () if words is None else words.undo:
        uid = shape.tasks[number].uid
        known = record.steps.get(uid)
        lost = None if known is None else _find_lost(uid, known)
        if lost is not None:
            refuse(record, f"{lost} was lost on its way through JSON")


def _find_lost(uid: str, known: StepRecord) -> str | None:
    """Return the path of the first lost value in what a task, or an item of it, is undone by."""
    lost = find_lost(known.outputs, f"{uid}.outputs")
    if lost is None and known.items is not None:
        lost = find_lost(known.items.done, f"{uid}.items.done")
    return lost


def _note_begun(run: Run, record: RunRecord, facts: Iterable[Fact]) -> None:
    """Take note of what had begun before, and of what was about to be undone."""
    begun = {fact.task for fact in facts if isinstance(fact, StepDue)}
    begun = {uid for uid in begun if record.steps[uid].start or record.steps[uid].attempts}
    for number, task in enumerate(run.plan.shape.tasks):
        if task.uid in begun or compensation_id(task.uid) in record.closing:
            closing_of(run).begun.add(number)


def _take_closing(run: Run, record: RunRecord, facts: Iterable[Fact]) -> None:
    """Have a run be one that closes, and was closing before."""
    closing = closing_in(run.plan.steps)
    if closing is not None:
        since = dropwhile(lambda fact: not isinstance(fact, RunClosing), facts)
        closing.known = {fact.task: fact for fact in since if isinstance(fact, StepEnded)}
    run.ending = record.ending
    for step in run.plan.call_off():
        step.state = CANCELLED


def _go_on_closing(run: Run) -> None:
    """Start a run that was closing: it goes on with that."""
    run.context = copy_context()
    if run.backend.roots is not None:
        run.backend.roots.add(run)
    run.tell_begin()
    run.end_if_empty()


def _has_aborted(step: LiveStep) -> bool:
    """Return whether a run ends by the failure of a step; an error of a clean-up is none."""
    has_failed = step.state is FAILED and not step._is_handled()
    return has_failed and aborts(step.template, step.run.template.on_error)


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
