"""The one place where a step ends: everything that follows from an `Ending`.

Owns:   the order of what follows: the state, who is told, what comes next.
Knows:  the run, its plan and its broker; nothing of how the step was driven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._loop.logs import Log
from .._model.errors import TukioTaskError
from .._model.policy import ErrorPolicy
from .._model.state import FAILED, RUNNING, SKIPPED, SUSPENDED
from .._step.log_fields import log_fields
from .outcome import NOTHING

if TYPE_CHECKING:
    from .._events.broker import Broker
    from .._model.plan import Plan
    from .._model.state import FutureState, Phase
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep
    from .ledger import Ledger
    from .outcome import Ending

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


def settle(run: RunOfSteps, step: LiveStep, ending: Ending) -> None:
    """End a step.

    The step is over, and everybody was told, when this returns. Called exactly once for each step
    that has begun; never for one that was interrupted and is run again, as a new step.
    """
    state, event, output, leads_to, error, at = ending
    step.state = state
    step.output_data = output
    step.ended_at = at
    if error is not None:
        step.error = error
        _take_error(run, step, error)
    if run.ledger is not None:
        run.ledger.keep_end(step, ending)
    # Handlers run in here. They may stop or suspend the run: its phase is looked at afterwards.
    if run.broker.has_listeners:
        raised = error is not None and not isinstance(error, TukioTaskError)
        run.emit(event, {"exception": error} if raised else output, step)
    step.driver = None
    if step._extras is not None:
        step.release()
        step.run_done_callbacks()
    if leads_to is NOTHING:
        run.plan.stop_branch(step)
        if state is FAILED and run.template.on_error is ErrorPolicy.ABORT:
            run.stop(FAILED)
    # While it is suspended, a run goes on as far as to know what comes next.
    elif run.phase is RUNNING or run.phase is SUSPENDED:
        run.plan.follow(step, leads_to)


def record_error(run: RunOfSteps, step: LiveStep, error: BaseException) -> None:
    """Keep an error where users look; a second one of the same task beside the first."""
    uid = step.template.uid
    log.warning(
        "task '%s' of workflow %s failed",
        uid,
        run.uid,
        exc_info=error,
        extra=log_fields(run, step),
    )
    run.keep_error(uid, error)


def _take_error(run: RunOfSteps, step: LiveStep, error: BaseException) -> None:
    if step.state is SKIPPED:
        reason = getattr(error, "reason", None)
        log.info(
            "task '%s' was skipped: %s", step.template.uid, reason, extra=log_fields(run, step)
        )
    else:
        record_error(run, step, error)
