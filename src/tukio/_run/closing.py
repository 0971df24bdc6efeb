"""The closing of a run: what undoes its tasks, and what comes last, one after the other.

Owns:   when it begins, when it goes on, and what had no time left.
Knows:  the words of the template, which decide what is due; the run, whose drivers carry it out.

A run closes when all else of it is over. From then on nothing but the limit of the closing ends
it: no cancellation, and not the end of its engine, which waits for it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .._model.account import described
from .._model.closing import Closing, given_at_the_end, given_to_undo
from .._model.guard import call_all, program_end
from .._model.kinds import CLOSING as CLOSING_STEP
from .._model.logs import Log
from .._model.state import CANCELLED, CLOSING, FINISHED, SKIPPED, WorkflowExecState
from .._model.step import LOOSE
from .._model.task_ends import CleanupTimedOut
from .._step.log_fields import log_fields
from .undoing import what_undoes
from .waiting import Waiting, WaitsFor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextvars import Context

    from .._loop.contract import Backend, Driver
    from .._model.closing import ClosingWords
    from .._model.facts import Fact
    from .._model.plan import Plan
    from .._model.state import FutureState, Phase
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep
    from .environment import Environment
    from .ledger import Ledger

log: Log = Log("tukio.run")


class ClosingRun(Protocol):
    """What the closing of a run asks of it."""

    phase: Phase
    plan: Plan[LiveStep]
    template: WorkflowTemplate
    environment: Environment
    errors: dict[str, BaseException]
    deadline: float
    ledger: Ledger | None
    drivers: dict[Driver, None]
    backend: Backend

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    @property
    def ending(self) -> FutureState | None:
        """How it ends; None if nobody has asked it to stop."""
        ...

    @property
    def waiting(self) -> Waiting | None:
        """What it waits for without a driver."""
        ...

    @property
    def started_at(self) -> float | None:
        """When it started; None before."""
        ...

    @property
    def context(self) -> Context | None:
        """What the context of each step is a copy of; None before it was launched."""
        ...

    @property
    def has_begun_itself(self) -> bool:
        """Whether its begin was told, or need not be."""
        ...

    def is_empty(self) -> bool:
        """Return whether nothing of it is at work, and nothing is due."""
        ...

    def keep_error(self, uid: str, error: BaseException) -> None:
        """Keep an error of a task."""
        ...

    def keep_fact(self, fact: Fact) -> None:
        """Keep a fact, if anybody keeps its facts."""
        ...

    def emit(self, kind: str, content: Any, step: LiveStep | None = None) -> None:
        """Send an execution event of it."""
        ...

    def tell_begin(self) -> None:
        """Announce it, once."""
        ...

    def start_closing(self, ending: FutureState, until: float) -> None:
        """Enter `closing`."""
        ...

    def spawn(self) -> None:
        """Spawn a driver."""
        ...

    def keep_deadline(self) -> None:
        """Set the alarm of the deadline anew, if it waits without a driver."""
        ...

    def stop_waiting(self, *reasons: WaitsFor) -> None:
        """Wait for some things no more."""
        ...

    def end_if_empty(self) -> None:
        """Go on with its end, if nothing of it is at work."""
        ...


def closing_in(steps: Any) -> Closing | None:
    """Return what is kept of the closing of a run; None if its template says nothing of that.

    Args:
        steps: The steps of the run.
    """
    return getattr(steps, "closing", None)


def closing_of(run: ClosingRun) -> Closing:
    """Return what is kept of the closing of a run that is not over, and whose template closes."""
    closing = closing_in(run.plan.steps)
    assert closing is not None
    return closing


def close(run: ClosingRun) -> bool:
    """Go on with the closing of a run that is empty; begin it if need be.

    Returns:
        Whether the run is not over yet. A run that has never begun has nothing to close.
    """
    try:
        return _go_on(run)
    except BaseException as error:
        if program_end(error) is not None:
            # Raised by a handler, after all facts, or by the text of an error, before them: the
            # former is not called again.
            run.end_if_empty()
        raise


def _go_on(run: ClosingRun) -> bool:
    if run.phase is not CLOSING:
        if run.context is None or run.started_at is None or not _begin(run):
            return False
        if not run.is_empty():
            # A handler of the event has brought it forward.
            return True
    if run.backend.time() >= run.deadline:
        cut_short(run)
    closing = closing_of(run)
    if not closing.due:
        return False
    run.plan.ready.append(closing.due.popleft())
    try:
        run.spawn()
    except Exception as error:  # noqa: BLE001 - it is what becomes of the rest
        problem = error
        _give_up(run, lambda _: problem)
        return False
    return True


def _begin(run: ClosingRun) -> bool:
    """Begin the closing of a run; return whether there is anything to do."""
    words, closing = run.plan.shape.closing, closing_of(run)
    assert words is not None
    ending = run.ending or FINISHED
    steps = list(_steps(run, words))
    for step in steps:
        known = closing.known.get(step.template.uid)
        if known is not None:
            step.restore(known._replace(inputs=(step.input_data,)))
            if step.error is not None and step.state is not SKIPPED:
                run.keep_error(step.template.uid, step.error)
    closing.steps = steps
    closing.due.extend(step for step in steps if step.ended_at is None)
    if steps:
        closing.began_at = run.backend.time()
    if not closing.due:
        return False
    # Facts first: whatever a handler raises, it is closing.
    run.start_closing(ending, closing_until(run))
    if not run.has_begun_itself:
        # It was cancelled before its first driver came.
        run.tell_begin()
    run.emit(WorkflowExecState.CLOSING.value, {"state": ending.value})
    return True


def _steps(run: ClosingRun, words: ClosingWords) -> Iterable[LiveStep]:
    """Yield the steps that close a run, none of which has begun."""
    ending = run.ending or FINISHED
    order = () if run.ledger is None else run.ledger.order
    make = run.environment.kinds.class_of((CLOSING_STEP,))
    steps: Any = run.plan.steps
    for task, step in what_undoes(words, steps, order, ending):
        yield make(run, LOOSE, task, given_to_undo(step), step)
    if words.last:
        errors = {uid: described(error) for uid, error in run.errors.items()}
        data = given_at_the_end(ending, errors)
        for task in words.last:
            yield make(run, LOOSE, task, data, None)


def closing_until(run: ClosingRun) -> float:
    """Return when the closing of a run must be over, on its clock; inf for never.

    The time counts from when this is first asked: that of the children of a run is part of its own,
    so they are bounded by this, and what is left when they are over is for the run itself.
    """
    limit: float = run.template.closing_timeout or math.inf
    until = run.backend.time() + limit
    closing = closing_in(run.plan.steps)
    if closing is None:
        return until
    closing.until = min(closing.until, until)
    return closing.until


def bound_closing(run: ClosingRun, instant: float) -> None:
    """Have the closing of a run be over by an instant, whether or not it has begun."""
    closing = closing_in(run.plan.steps)
    if closing is None or instant >= closing.until:
        return
    closing.until = instant
    if run.phase is not CLOSING:
        return
    run.deadline = instant
    run.environment.watchdog.watch(run, instant)
    for driver in run.drivers:
        if driver.scope is not None and not driver.scope_spent:
            driver.scope.deadline = min(driver.scope.deadline, instant)
    run.keep_deadline()


def no_time_left(run: ClosingRun, step: LiveStep) -> CleanupTimedOut:
    """Return the error that stands for a step that the limit of the closing has cut."""
    began_at = closing_of(run).began_at
    assert began_at is not None
    return CleanupTimedOut(step.template.uid, max(run.deadline - began_at, 0.0), closing=True)


def reach_limit(run: ClosingRun) -> None:
    """Called when the time in which a run may close is over."""
    try:
        cut_short(run)
    finally:
        # Also when a callback has ended the program.
        run.end_if_empty()


def cut_short(run: ClosingRun) -> None:
    """Begin nothing more of a closing that has no time left; what is at work is cut elsewhere."""
    _give_up(run, lambda step: no_time_left(run, step))


def _give_up(run: ClosingRun, why: Callable[[LiveStep], BaseException]) -> None:
    """Begin nothing more of a closing, for a reason of each step."""
    closing = closing_of(run)
    rest = run.plan.call_off()
    if run.waiting is not None:
        rest += run.waiting.take_put_off()
        run.stop_waiting(WaitsFor.INSTANT)
    rest += closing.due
    closing.due.clear()
    for step in rest:
        step.state = CANCELLED
        step.error = error = why(step)
        run.keep_error(step.template.uid, error)
    call_all(call for step in rest for call in (partial(_log, run, step), step._let_go))


def _log(run: ClosingRun, step: LiveStep) -> None:
    log.warning(
        "task '%s' of workflow %s was not begun",
        step.template.uid,
        run.uid,
        exc_info=step.error,
        extra=log_fields(run, step),
    )
