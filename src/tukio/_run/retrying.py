"""The end of an attempt: a task that has failed is run again, if its template says so.

Owns:   whether a failure is the end of a task or of an attempt, and the order of what follows from
        the latter.
Knows:  the policy, which decides; the run, which keeps what is put off.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from .._model.account import add_cause, described
from .._model.attempts import Attempt
from .._model.changes import exact
from .._model.facts import StepDue
from .._model.guard import attempt
from .._model.logs import Log
from .._model.retry import Retry
from .._model.state import CLOSING, EVENT_OF, FAILED, RETRIED, RUNNING, SUSPENDED
from .._model.task_ends import TaskTimedOut, more_than_once
from .._model.time_limits import RETRY
from .._step.log_fields import log_fields
from .later import put_off
from .settling import record_error, settle
from .within import first_begin, time_left

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._model.predicate_table import Predicates
    from .._step.step import LiveStep
    from .outcome import Ending
    from .run import Run

log: Log = Log("tukio.run")

_GOES_ON: Final = (RUNNING, SUSPENDED, CLOSING)
"""The phases of a run in which a task may be tried again."""


def settle_failure(
    run: Run, step: LiveStep, ending: Ending, *, beside: Iterable[BaseException | None] = ()
) -> None:
    """End a step that has raised something: the task with it, or only this attempt.

    Args:
        run: The run.
        step: The step.
        ending: How it has ended.
        beside: What went wrong beside that: errors of the task, too, unless it is run again.
    """
    more = [error for error in beside if error is not None]
    if step._retry is not None and ending.state is FAILED:
        delay = _delay(run, step, ending)
        if delay is not None:
            delay, ending = _asked(run, step, ending, delay)
        if delay is not None:
            error = _error_of(step, ending, more)
            made = _attempt(step, error, ending.at, delay)
            # The text of an error is users' code, too: it may have cancelled the run.
            if _may_go_on(run, step):
                _try_again(run, step, error, ending.at, made)
                return
        before = len(step.extras.attempts)
        if before and ending.error is not None:
            # Not by its own method, which a user's class may have redefined.
            attempt(BaseException.add_note, ending.error, f"after {before + 1} attempts")
    for error in more:
        record_error(run, step, error)
    settle(run, step, ending)


def _delay(run: Run, step: LiveStep, ending: Ending) -> float | None:
    """Return the seconds until the next attempt; None if there is none."""
    error = ending.error
    if error is None or not _may_go_on(run, step):
        return None
    left = time_left(step, ending.at)
    if isinstance(error, TaskTimedOut) and (
        step.template.on_timeout != RETRY or (left is not None and left <= 0)
    ):
        return None
    retry = Retry.of(step.template._retry)
    if isinstance(error, TaskTimedOut):
        # It is said by `on_timeout`, so it need not be said once more.
        retry = Retry.of({**retry.as_dict(), "retry_on": None})
    number, elapsed = len(step.extras.attempts) + 1, ending.at - first_begin(step)
    delay, problem = attempt(retry.delay, error, number, elapsed, step._key)
    if problem is not None:
        # A class of errors of a user's own may have any metaclass.
        uid, extra = step.template.uid, log_fields(run, step)
        log.error("task '%s' cannot be retried", uid, exc_info=problem, extra=extra)
    if delay is not None and run.phase is CLOSING and ending.at + delay >= run.deadline:
        # Not in vain: the next one would not begin.
        return None
    return delay  # type: ignore[no-any-return]  # `attempt` knows no types


def _may_go_on(run: Run, step: LiveStep) -> bool:
    return run.phase in _GOES_ON and not step.cancel_called


def _asked(run: Run, step: LiveStep, ending: Ending, delay: float) -> tuple[float | None, Ending]:
    """Ask the predicate of `retry_if`, if there is one, whether there is a next attempt.

    Returns:
        The seconds until that, or None; and how the step ends if there is none: by what the
        predicate has raised, if it has.
    """
    assert step.template._retry is not None
    name = exact(step.template._retry.get("retry_if"))
    if name is None:
        return delay, ending
    number = len(step.extras.attempts) + 1
    predicates = run.environment.registry.predicates
    # In a context of its own: what it sets there reaches no step.
    answer, problem = attempt(copy_context().run, _ask, predicates, name, ending.error, number)
    if problem is not None:
        assert ending.error is not None
        add_cause(problem, ending.error)
        return None, ending._replace(error=problem)
    # It may have cancelled the run.
    return (delay if answer and _may_go_on(run, step) else None), ending


def _ask(predicates: Predicates, name: str, error: BaseException, number: int) -> bool:
    return predicates.get(name).ask(error, number)


def _error_of(step: LiveStep, ending: Ending, more: list[BaseException]) -> BaseException:
    """Return all that went wrong with an attempt, as one error."""
    assert ending.error is not None
    if not more:
        return ending.error
    return BaseExceptionGroup(more_than_once(step.template.uid), [*more, ending.error])


def _attempt(step: LiveStep, error: BaseException, at: float, delay: float) -> Attempt:
    """Return what is kept of an attempt that has failed, and after which the next one begins."""
    instant, begun = step.run.backend.wall_time, step.started_at
    assert begun is not None
    return Attempt(instant(begun), instant(at), described(error), delay, step.uid)


def _try_again(run: Run, step: LiveStep, error: BaseException, at: float, made: Attempt) -> None:
    """End an attempt, and have the next one begin after a while."""
    # Facts first: whatever is raised further down, this is over, and the next one is in its place.
    step.state, step.ended_at, step.driver = RETRIED, at, None
    step.error, step.output_data = error, None
    new: Any = run.plan.renew(step)
    new.extras.attempts = (*step.extras.attempts, made)
    new.extras.first_at = first_begin(step)
    put_off(run, new, at + made.delay)
    if run.keeps_facts:
        run.keep_fact(new.due_fact(_fact_of(new, at)))
    number = len(new.extras.attempts)
    content = {"exception": error, "attempt": number, "delay": made.delay}
    try:
        # Handlers run in here. They may stop or suspend the run.
        run.emit(EVENT_OF[RETRIED], content, step)
        log.warning(
            "attempt %s of task '%s' of workflow %s failed, the next one begins in %.3f s",
            number,
            step.template.uid,
            run.uid,
            made.delay,
            exc_info=error,
            extra=log_fields(run, step),
        )
    finally:
        step._end_attempt()


def _fact_of(new: LiveStep, at: float) -> StepDue:
    """Return the fact that a task has failed at an instant, and is to be run again."""
    extras, instant = new.extras, new.run.backend.wall_time
    assert extras.due is not None
    assert extras.first_at is not None
    return StepDue(
        task=new.template.uid,
        inputs=new.input_data,
        begun=False,
        attempts=extras.attempts,
        due=instant(extras.due),
        tried=at - extras.first_at,
    )
