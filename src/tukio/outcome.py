"""What the end of a step means for its run: its state, its event, and where the data goes.

Owns:   the rules by which a step ends; each function takes one way of ending.
Knows:  the run, its plan and its broker; nothing of how the step was driven.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .errors import InvalidResult, SkipTask, TukioTaskError
from .policy import ErrorPolicy
from .state import FutureState, Phase, TaskExecState
from .task.call import CalledOff

if TYPE_CHECKING:
    from .run import Run
    from .task.run import TaskRun

log: logging.Logger = logging.getLogger(__name__)

# Looked up for every step; an enum's `.value` is not free.
FINISHED, TASK_END = FutureState.finished, TaskExecState.END.value

# While it is suspended, a run goes on as far as to know what comes next.
GOES_ON = frozenset({Phase.RUNNING, Phase.SUSPENDED})


def finish(run: Run, step: TaskRun, now: float) -> None:
    """Take what a step returned just now, and go on from there."""
    try:
        data = run.plan.passed_on(step, step.output_data)
    except Exception as exc:
        fail(run, step, exc)
        return
    # As in _end and let_go, whose calls would be the larger part for most steps.
    step.state = FINISHED
    step.ended_at = now
    if run.broker.heard:
        run.tell(TASK_END, step.output_data, step)
    step.host = None
    if step._ties is not None:
        step.let_go()
        step.call_back()
    if run.phase in GOES_ON:
        run.plan.follow(step, data)


def fail(run: Run, step: TaskRun, exc: BaseException) -> None:
    """Take what a step raised: its branch stops, or goes on if it says that it was skipped."""
    if isinstance(exc, CalledOff):
        drop(run, step)
        return
    step.error = exc
    content: Any = {"exception": exc}
    if isinstance(exc, SkipTask):
        log.info("task %r was skipped: %s", step.template.uid, exc.reason)
        _end(run, step, FutureState.skipped, TaskExecState.SKIP.value, content)
        if run.phase in GOES_ON:
            run.plan.follow(step, step.input_data)
        return
    if isinstance(exc, TukioTaskError):
        step.output_data = content = exc.task_outputs
    note(run, step, exc)
    _end(run, step, FutureState.exception, TaskExecState.ERROR.value, content)
    run.plan.stop_branch(step)
    if run.template.on_error is ErrorPolicy.ABORT:
        run.stop(FutureState.exception)


def time_out(run: Run, step: TaskRun, output: Any) -> None:
    """Go on after a step that reached its limit, with what its `teardown()` returned."""
    data = step.input_data
    try:
        data = run.plan.passed_on(step, output)
    except InvalidResult as exc:
        note(run, step, exc)
    if output is None:
        step.output_data = data
    _end(run, step, FutureState.timeout, TaskExecState.TIMEOUT.value, step.output_data)
    if run.phase in GOES_ON:
        run.plan.follow(step, data)


def drop(run: Run, step: TaskRun) -> None:
    """End a step that was cancelled: its branch stops."""
    _end(run, step, FutureState.cancelled, TaskExecState.CANCEL.value, None)
    run.plan.stop_branch(step)


def note(run: Run, step: TaskRun, exc: BaseException) -> None:
    """Keep an error where users look; a second one of the same task beside the first."""
    uid = step.template.uid
    log.warning("task %r of workflow %s failed", uid, run.uid, exc_info=exc)
    earlier = run.errors.get(uid)
    if earlier is not None:
        exc = BaseExceptionGroup(f"task {uid!r} failed more than once", [earlier, exc])
    run.errors[uid] = exc


def _end(run: Run, step: TaskRun, state: FutureState, kind: str, content: Any) -> None:
    step.state = state
    step.ended_at = run.port.time()
    if run.broker.heard:
        run.tell(kind, content, step)
    step.let_go()
    step.call_back()
