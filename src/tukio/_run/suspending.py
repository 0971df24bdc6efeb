"""The suspension of a run, and its resumption.

Source: 1.x: a step that is interrupted is run again from scratch, one that is over never.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._model.facts import RunResumed, RunSuspended
from .._model.guard import call_all
from .._model.state import (
    INTERRUPTED,
    RUNNING,
    SUSPENDED,
    TIMED_OUT,
    Move,
    WorkflowExecState,
    after,
)
from .parking import go_on
from .settling import end_interrupted
from .waiting import WaitsFor

if TYPE_CHECKING:
    from .._step.step import LiveStep
    from .children import Child
    from .run import Run


def suspend(run: Run) -> bool:
    """Interrupt every step, to be run again from scratch when the run is resumed.

    Returns:
        False if it was not running: then nothing changes.
    """
    if run.stop_if_expired():
        # Perhaps before its begin was told: then that is told no more.
        return False
    run.begin()
    # A handler of its begin may have stopped it.
    if run.stop_if_expired() or run.phase is not RUNNING:
        return False
    phase = after(run.phase, Move.SUSPEND)
    # Before the move: a run that is suspended always waits.
    run.wait_for(WaitsFor.RESUME)
    run.phase = phase
    _interrupt_steps(run)
    run.keep_fact(RunSuspended())
    try:
        run.emit(WorkflowExecState.SUSPEND.value, None)
        # Handlers run in there, and in here. They may end the run, or resume it.
        for child in list(run.waiting.children or ()) if run.waiting is not None else ():
            if run.phase is SUSPENDED:
                suspend_child(child)
    finally:
        # Also when one has ended the program: nobody else comes to those without an item at work.
        ends = [whole.end_if_over for whole in run.wholes or ()]
        call_all([*ends, partial(go_on, run)] if ends else ())
    return True


def suspend_child(child: Child) -> None:
    """Suspend a child for as long as its parent is suspended, unless it is so by itself."""
    if suspend(child.run):
        child.is_suspended = True


def _resume_children(run: Run) -> None:
    for child in list(run.waiting.children or ()) if run.waiting is not None else ():
        if run.phase is RUNNING and child.is_suspended:
            child.is_suspended = False
            resume(child.run)


def resume(run: Run) -> bool:
    """Go on with a run that is suspended.

    Returns:
        False if it was not suspended: then nothing changes.
    """
    if run.stop_if_expired() or run.phase is not SUSPENDED:
        return False
    assert run.waiting is not None
    run.phase = after(run.phase, Move.RESUME)
    run.stop_waiting(WaitsFor.RESUME)
    steps: list[LiveStep] = []
    try:
        while run.waiting.interrupted:
            steps.append(run.plan.requeue(run.waiting.interrupted[0]))
            del run.waiting.interrupted[0]
        for whole in list(run.wholes or ()):
            whole.go_on()
    finally:
        # Whatever is raised: somebody must take what is ready.
        run.call_for_driver()
    run.keep_fact(RunResumed())
    try:
        # Handlers run in here, and may stop the run.
        run.announce_after(WorkflowExecState.RESUME.value, steps)
        _resume_children(run)
    finally:
        # It may have been suspended as its last step ended.
        run.end_if_empty()
    return True


def take_interrupted(run: Run, step: LiveStep) -> None:
    """Take a step that was interrupted and has unwound: it is run again, now or when resumed."""
    step.state = INTERRUPTED
    step._release()
    if not step._is_run_again():
        return
    if run.phase is SUSPENDED:
        assert run.waiting is not None
        run.waiting.interrupted.append(step)
    elif run.phase is RUNNING:
        run.plan.requeue(step)
    else:
        end_interrupted(run, step)


def take_back(run: Run, step: LiveStep) -> bool:
    """Take a step out of those that wait to be run again; return whether it was one of them."""
    if run.waiting is None or step not in run.waiting.interrupted:
        return False
    run.waiting.interrupted.remove(step)
    return True


def _interrupt_steps(run: Run) -> None:
    for driver in list(run.drivers):
        step = driver.step
        if step is None or step.driver is None or step.interrupted_for is not None:
            continue
        if driver.scope is not None and driver.scope.cancel_called:
            # It has reached its limit, or was cancelled, before: that counts.
            step.interrupted_for = TIMED_OUT
        else:
            step.interrupted_for = INTERRUPTED
            run.interrupt(driver)
    for whole in list(run.wholes or ()):
        whole.interrupt()
