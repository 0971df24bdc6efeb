"""Children that the code of a task starts, and awaits: `tukio.run_child`.

Owns:   which call of a task has which child, also when the task is run again after a suspension.

The step that awaits has a driver, as any step at work.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from .._model.changes import exact, own
from .._model.documents import as_template
from .._model.edition import is_same
from .._model.errors import EngineError
from .._model.event import Event, sent_by
from .._model.state import CANCELLED, FINISHED, INTERRUPTED, OVER, STOPPING, SUSPENDED, TIMED_OUT
from .._step.surroundings import here
from .children import Child, adopt, heed_limit, let_go, stop_all
from .environment import ChildOf
from .settling import record_error
from .suspending import suspend_child
from .verdict import handed_over, problem_of

if TYPE_CHECKING:
    from .._model.documents import TemplateLike
    from .._model.state import FutureState


class Calls:
    """The children that one execution of a task has started in code.

    Attributes:
        made: How many calls there were.
        awaited: How many are awaited now.
        known: The number of a call -> its child, which is over, or was suspended with the execution
            before. The call with this number, of the next execution, goes on with it.
        started: The number of a call -> how many children it has had, in all executions.
    """

    __slots__ = ("awaited", "known", "made", "started")

    def __init__(self, before: Calls | None = None) -> None:
        self.made: int = 0
        self.awaited: int = 0
        self.known: dict[int, Child] = {} if before is None else before.known
        self.started: dict[int, int] = {} if before is None else before.started

    def handed_over(self, step: Any) -> Calls:
        """Return what the next execution of the task begins with."""
        for child in self.known.values():
            child.step = step
        return Calls(self)

    def drop(self) -> None:
        """Forget all, and cancel those that nobody will await: the task has ended without them."""
        known, self.known = self.known, {}
        stop_all(known.values(), CANCELLED)


async def run_child(template: TemplateLike | str, data: dict[str, Any] | Event) -> Any:
    """Run a workflow as a child of the calling task, and return what came of it.

        invoice = await tukio.run_child("invoice", {"order": 7})

    Whatever cuts the task cuts the child, which has unwound then. With its run, the child is
    suspended. When the task is run again after that, the same call, of the same number, template
    and data, goes on with the child, or returns what came of it; another call starts another child,
    and the first one is cancelled. The overrun policy of the
    template is not asked. A rescue runs the task from its begin, and what it calls anew.

    Args:
        template: A template, its dict form, or the id of a loaded template.
        data: A dict or an event; the child gets a copy of its own (one level deep).

    Returns:
        What its one end task returned; of several, a dict of their ids to that. If it has finished
        with errors, they are the task's, too.

    Raises:
        WorkflowFailed: It has failed. The group has all errors.
        WorkflowTimedOut: It has reached a time limit of its own.
        WorkflowCancelled: Somebody else has cancelled it.
        LookupError: No template with this id is loaded. Nothing was started.
        TemplateError: The template has faults. Nothing was started.
        RecursionError: There are too many runs above it. Nothing was started.
        ValueError: `data` is neither a dict nor an Event. Nothing was started.
        EngineError: Not called from a task at work, in the thread of its engine. Nothing was
            started.

    Cancellation: the child is cancelled, has unwound and is over.
    """
    step = _at_work()
    registry = step.run.environment.registry
    what = exact(template) if isinstance(template, str) else as_template(template, registry)
    event = sent_by(step, Event(data).data)
    calls: Any = step.extras.calls
    if calls is None:
        calls = step.extras.calls = Calls()
    calls.made += 1
    number = calls.made
    calls.awaited += 1
    try:
        child = await _kept(step, number, what, event)
        if child is None:
            child = await _started(step, number, what, event)
        await _end_of(child, number)
    finally:
        calls.awaited -= 1
    if child.run.ending is not CANCELLED:
        # The task may be run again, and is not to do it twice.
        calls.known[number] = child
    return _result(child)


def _at_work() -> Any:
    """Return the calling step.

    Raises:
        EngineError: It is not at work, or has no engine, or the caller is in another thread.
    """
    step, _ = here()
    step.run.backend.check_here()
    if step.run.environment.children is None or step.ended_at is not None:
        msg = "only a task at work, in a run of an engine, has children"
        raise EngineError(msg)
    return step


async def _started(step: Any, number: int, what: Any, event: Event) -> Child:
    """Start the child of a call, and return it."""
    run, engine = step.run, step.run.environment.children
    started = step.extras.calls.started
    before = started.get(number, 0)
    uid = f"{step._key}/{step.attempt}/{number}" + (f".{before}" if before else "")
    made = await engine.make(ChildOf(run.face, step), what, uid)
    child = Child(step, made, is_step=False)
    started[number] = before + 1
    # A copy: tasks share the nested values, and may change them.
    child.data = own(event.data)
    # First: whatever happens from here on, the run is not over before its child is.
    when_over = partial(_is_over, run, child)
    adopt(run, child, when_over)
    try:
        engine.launch(made._run, partial(made._run.start, event), when_over)
    except Exception:
        let_go(run, child)
        raise
    return child


async def _kept(step: Any, number: int, what: Any, event: Event) -> Child | None:
    """Return the child that a call goes on with; None if it is to start one.

    One that was of another call is cancelled first, and is over then.
    """
    child: Child | None = step.extras.calls.known.pop(number, None)
    if child is None:
        return None
    template_id = what if isinstance(what, str) else what.uid
    its = child.run
    if its.template.uid == template_id and is_same([child.data], [event.data]):
        return child
    child.stop(CANCELLED)
    await _unwound(child)
    return None


async def _end_of(child: Child, number: int) -> None:
    """Wait until a child is over; whatever cuts the wait ends the child first.

    Cancellation: the child is over, or is suspended with its run.
    """
    step = child.step
    try:
        if child.run.phase is OVER:
            await step.run.backend.checkpoint()
        else:
            await child.run.end_event().wait()
    except BaseException:
        if step.interrupted_for is INTERRUPTED and not _is_cancelled(step):
            # It goes on when its run does; it may have been resumed by now.
            step.extras.calls.known[number] = child
            if step.run.phase is SUSPENDED and not child.is_suspended:
                suspend_child(child)
            raise
        child.stop(_reason(step))
        await _unwound(child)  # noqa: ASYNC102 - it shields itself
        raise


async def _unwound(child: Child) -> None:
    if child.run.phase is not OVER:
        with anyio.CancelScope(shield=True):
            await child.run.end_event().wait()


def _reason(step: Any) -> FutureState:
    """Return what a child is cut for whose step is cut."""
    if _is_cancelled(step):
        return CANCELLED
    is_late = step.interrupted_for is TIMED_OUT or _has_reached_limit(step)
    return TIMED_OUT if is_late else CANCELLED


def _is_cancelled(step: Any) -> bool:
    """Return whether a step is cut for good, and not for a limit of its own.

    A run that stops has told its children why, if it has any that are not over.
    """
    return bool(step.run.stop_if_expired() or step.run.phase is STOPPING or step.cancel_called)


def _has_reached_limit(step: Any) -> bool:
    limit = step.template.timeout
    return bool(limit) and step.run.backend.time() >= step.started_at + limit


def _result(child: Child) -> Any:
    """Return what came of a child, or raise what went wrong."""
    run, its = child.step.run, child.run
    problem = its.failure
    if problem is None:
        problem = problem_of(its, child.workflow._steps)
    if its.ending is not FINISHED:
        assert problem is not None
        raise problem
    if problem is not None and not child.is_told:
        child.is_told = True
        record_error(run, child.step, problem)
    return handed_over(its, child.workflow)


def _is_over(run: Any, child: Child) -> None:
    """Called when a child is over."""
    try:
        heed_limit(run)
    finally:
        let_go(run, child)
        run.end_if_empty()
