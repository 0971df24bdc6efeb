"""The one place where a step ends: everything that follows from an `Ending`.

Owns:   the order of what follows: the state, who is told, what comes next.
Knows:  the run, its plan and its broker; nothing of how the step was driven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._model.after_failure import aborts, after_failure, handles_errors
from .._model.guard import attempt
from .._model.logs import Log
from .._model.state import FAILED, RUNNING, SKIPPED, SUSPENDED
from .._model.step import LOOSE
from .._step.log_fields import log_fields
from .outcome import NOTHING, Ending, cancelled, content_of_end

if TYPE_CHECKING:
    from .._events.broker import Broker
    from .._model.after_failure import Handled
    from .._model.plan import Plan
    from .._model.state import FutureState, Phase
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep
    from .ledger import Ledger

log: Log = Log("tukio.run")


class RunOfSteps(Protocol):
    """What the end of a step asks of its run."""

    phase: Phase
    plan: Plan[LiveStep]
    broker: Broker
    template: WorkflowTemplate
    ledger: Ledger | None

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    def emit(self, kind: str, content: Any, step: LiveStep) -> None:
        """Send an execution event of one of its steps."""
        ...

    def keep_error(self, uid: str, error: BaseException) -> None:
        """Keep an error of a task."""
        ...

    def stop(self, ending: FutureState) -> object:
        """Cancel everything."""
        ...


def settle(run: RunOfSteps, step: LiveStep, ending: Ending) -> bool:
    """End a step.

    The step is over, and everybody was told, when this returns. Called exactly once for each step
    that has begun; never for one that was interrupted and is run again, as a new step.

    Returns:
        Whether there was anybody to tell: then code of users may have run, and have taken its time.
    """
    state, _, output, leads_to, error, at = ending
    handled = None
    if error is not None:
        # Before anything is changed: code of users runs in here, and may end the program.
        ending, handled = _provided_for(run, step, Ending(*ending))
        output, leads_to = ending.output, ending.leads_to
    # Facts first: whatever is raised further down, the step is over.
    step.state = state
    step.output_data = output
    step.ended_at = at
    step.driver = None
    if error is not None:
        _keep_error(run, step, error, handled)
    if run.ledger is not None:
        run.ledger.keep_end(step, ending)
    told = run.broker.has_listeners or error is not None or step._extras is not None
    if not told and step.number == LOOSE:
        # Nothing follows it but what the step does that has made it.
        step._let_go()
        return False
    try:
        if told:
            _tell(run, step, ending)
    finally:
        # Also when a handler has ended the program: nobody waits for ever for what comes next.
        if leads_to is NOTHING:
            _stop_branch(run, step)
        # While it is suspended, a run goes on as far as to know what comes next.
        elif run.phase is RUNNING or run.phase is SUSPENDED:
            run.plan.follow(step, leads_to)
    return told


def end_interrupted(run: RunOfSteps, step: LiveStep) -> None:
    """Cancel a step that was interrupted, has unwound, and is not run again after all."""
    calls = None if step._extras is None else step._extras.calls
    try:
        if calls:
            # What it has called is over before it.
            calls.drop()
    finally:
        settle(run, step, cancelled(step.run.backend.time()))


def _provided_for(run: RunOfSteps, step: LiveStep, ending: Ending) -> tuple[Ending, Handled | None]:
    """Return how a step ends that has raised, and what its template provides for that, if it does.

    Nothing has changed so far.
    """
    error = ending.error
    assert error is not None
    if ending.state is not FAILED or not handles_errors(step.template):
        return ending, None
    made = 0 if step._extras is None else len(step._extras.attempts)
    handled = after_failure(run.plan.shape, step.number, step.input_data, error, made + 1)
    return ending._replace(output=handled.data, leads_to=handled.data), handled


def _keep_error(
    run: RunOfSteps, step: LiveStep, error: BaseException, handled: Handled | None
) -> None:
    """Keep what a step has raised, and that the run goes on from it, if it does."""
    step.error = error
    if step.state is not SKIPPED:
        run.keep_error(step.template.uid, error)
    if handled is not None:
        step.extras.handled = error
        if handled.leads_to is not None:
            step.chosen = handled.leads_to


def _stop_branch(run: RunOfSteps, step: LiveStep) -> None:
    """Have nothing follow a step; and end the run, if that ends with a step that has failed."""
    run.plan.stop_branch(step)
    # What comes of a step outside of the graph is decided by whoever has made it.
    is_failure = step.state is FAILED and step.number != LOOSE
    if is_failure and aborts(step.template, run.template.on_error):
        run.stop(FAILED)


def _tell(run: RunOfSteps, step: LiveStep, ending: Ending) -> None:
    """Tell that a step is over: subscribers, the log, and those who wait for it."""
    state, event, output, _, error, _ = ending
    try:
        if run.broker.has_listeners:
            try:
                step.note_end()
            finally:
                # Handlers run in here. They may stop or suspend the run: its phase is looked at
                # afterwards.
                run.emit(event, content_of_end(output, error, is_handled=step._is_handled()), step)
        if state is SKIPPED:
            _log_skip(run, step)
        elif error is not None:
            _log_failure(run, step, error)
    finally:
        if step._extras is not None or step.number == LOOSE:
            step._let_go()


def record_error(run: RunOfSteps, step: LiveStep, error: BaseException) -> None:
    """Keep an error of a task that does not end its step, and log it."""
    run.keep_error(step.template.uid, error)
    _log_failure(run, step, error)


def _log_skip(run: RunOfSteps, step: LiveStep) -> None:
    # It may be a property of a user's class.
    reason, _ = attempt(getattr, step.error, "reason", None)
    log.info("task '%s' was skipped: %s", step.template.uid, reason, extra=log_fields(run, step))


def _log_failure(run: RunOfSteps, step: LiveStep, error: BaseException) -> None:
    log.warning(
        "task '%s' of workflow %s failed",
        step.template.uid,
        run.uid,
        exc_info=error,
        extra=log_fields(run, step),
    )
