"""What the end of a step means: each way of ending decides an `Ending`, and changes nothing.

Owns:   the rules by which a step ends; each function takes one way of ending.
Knows:  the step and the plan, to read from. `settling` does what follows from an ending.
"""

from __future__ import annotations

import inspect
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._loop.coroutines import EscapedExit
from .._model.errors import NotAwaited, SkipTask, TukioTaskError
from .._model.guard import attempt
from .._model.state import (
    CANCELLED,
    FAILED,
    FINISHED,
    SKIPPED,
    TASK_END,
    TIMED_OUT,
    TaskExecState,
)
from .._model.time_limits import fails_at_limit
from .missing_key import note_missing_key

if TYPE_CHECKING:
    from .._model.plan import Plan
    from .._model.state import FutureState
    from .._step.step import LiveStep

NOTHING: Final = object()
"""What a step leads to whose branch stops."""

TASK_SKIP, TASK_ERROR = TaskExecState.SKIP.value, TaskExecState.ERROR.value
TASK_TIMEOUT, TASK_CANCEL = TaskExecState.TIMEOUT.value, TaskExecState.CANCEL.value


class CalledOff(Exception):
    """A step was cancelled before it began."""


class Ending(NamedTuple):
    """How a step has ended, decided once and not changed again.

    Attributes:
        state: The state it ends in.
        event: The type of the execution event that tells of it.
        output: What its report and `outputs` show.
        leads_to: The data that its successors receive; `NOTHING` if its branch stops here.
        error: What it raised, the reason of a skip also; None if it raised nothing.
        at: When its coroutine had ended, on the clock of the run.
    """

    state: FutureState
    event: str
    output: Any
    leads_to: Any
    error: BaseException | None
    at: float


def finished(plan: Plan[Any], step: LiveStep, result: Any, at: float) -> Ending:
    """Decide how a step ends whose coroutine returned something."""
    if type(result) is dict:
        # As in `passed_on`, whose call would be the larger part for most steps.
        output = data = {**result}
    else:
        passed_on, problem = attempt(plan.passed_on, step, result)
        if problem is not None:
            # What it returned is no good for its successors; users can look at it all the same.
            return failed(step, problem, at, _to_look_at(result, problem))
        output, data = passed_on
    # Most steps end here, and the constructor of a named tuple is a Python function. `settle` takes
    # the fields by their places.
    ending: Any = (FINISHED, TASK_END, output, data, None, at)
    return ending  # type: ignore[no-any-return]  # a tuple in all but its names


def failed(step: LiveStep, error: BaseException, at: float, output: Any = None) -> Ending:
    """Decide how a step ends that raised: its branch stops, or goes on if it was skipped."""
    if isinstance(error, CalledOff):
        return cancelled(at)
    if isinstance(error, EscapedExit):
        error = error.error
    if isinstance(error, SkipTask):
        return Ending(SKIPPED, TASK_SKIP, None, step.input_data, error, at)
    if type(error) is KeyError:
        # Reading the line of source that raised it may run code of users' loaders.
        attempt(note_missing_key, error, step.template)
    if isinstance(error, TukioTaskError):
        # It may be a property of a user's class; if that raises, there is no output.
        output, _ = attempt(getattr, error, "task_outputs")
    return Ending(FAILED, TASK_ERROR, output, NOTHING, error, at)


def timed_out(
    plan: Plan[Any], step: LiveStep, result: Any, at: float, *, is_last: bool = False
) -> tuple[Ending, BaseException | None]:
    """Decide how a step ends that reached its limit, after its clean-up.

    It goes on with what `teardown()` returned, unless its template says that it has failed.

    Args:
        plan: The plan of the run.
        step: The step.
        result: What its `teardown()` returned.
        at: When it has unwound.
        is_last: Whether it may not be tried for longer, so that it has failed in any case.

    Returns:
        The ending, and what is wrong with the result of the clean-up; None if nothing is.
    """
    passed_on, problem = attempt(plan.passed_on, step, result)
    if problem is not None:
        output, data = _to_look_at(result, problem), step.input_data
    else:
        output, data = passed_on
    task = step.template
    if fails_at_limit(task) or is_last:
        shown = None if result is None else output
        return failed(step, step._limit_error(), at, shown), problem
    if result is None:
        output = data
    return Ending(TIMED_OUT, TASK_TIMEOUT, output, data, None, at), problem


def content_of_end(output: Any, error: BaseException | None, *, is_handled: bool = False) -> Any:
    """Return the content of the event that tells of the end of a step.

    Args:
        output: What the report of the step shows.
        error: What the step raised; None if it raised nothing.
        is_handled: Whether it has failed, and leads on all the same.
    """
    if is_handled:
        return {"exception": error, "handled": True}
    raised = error is not None and not isinstance(error, TukioTaskError)
    return {"exception": error} if raised else output


def _to_look_at(result: Any, problem: BaseException) -> Any:
    """Return a result that cannot be passed on, as users see it; None if it is to be awaited.

    Of a coroutine, Python would warn that nobody has awaited it, when and where it happens to be
    thrown away. That is told already, so it is closed.
    """
    if not isinstance(problem, NotAwaited):
        return result
    # One that has begun is in other hands.
    is_coroutine = type(result) is CoroutineType
    if is_coroutine and inspect.getcoroutinestate(result) == inspect.CORO_CREATED:
        result.close()
    return None


def cancelled(at: float) -> Ending:
    """Decide how a step ends that was cancelled: its branch stops."""
    return Ending(CANCELLED, TASK_CANCEL, None, NOTHING, None, at)
