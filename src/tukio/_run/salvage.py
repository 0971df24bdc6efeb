"""The end of a run that Ctrl-C has cut, at whatever line.

Knows:  the run and its drivers. On asyncio a `KeyboardInterrupt` comes out of any line of ours, and
        ends the task that was there: a driver that has left nothing in order.

Called when all around the runs ends, where nothing of them is on the stack. So a run of which no
driver is alive is over, and a step that is in nobody's hands is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.guard import attempt
from .._model.state import (
    CANCELLED,
    CLOSING,
    FAILED,
    INTERRUPTED,
    NEW,
    OVER,
    PENDING,
    RETRIED,
    RUNNING,
    SUSPENDED,
)
from .._step.items import work_of
from .closing import closing_of
from .concluding import wind_up
from .outcome import cancelled
from .settling import settle
from .waiting import WaitsFor

if TYPE_CHECKING:
    from collections.abc import Iterator, Set as AbstractSet

    from .._loop.contract import Driver
    from .._step.step import LiveStep
    from .run import Run

UNDECIDED = {PENDING, INTERRUPTED}
"""The states of a step that is not over."""

GOES_ON = {NEW, RUNNING, SUSPENDED}
"""The phases of a run that nothing has stopped."""


def salvage(run: Run, alive: AbstractSet[Driver]) -> None:
    """Cancel a run, and bring to its end what was cut on the way.

    What was done in full is left as it is, so this may be called again.

    Args:
        run: The run.
        alive: Its drivers that are alive, begun or not.
    """
    dead = [driver for driver in run.drivers if driver not in alive]
    for driver in dead:
        del run.drivers[driver]
        close_coroutine(driver)
    run.driver_pending = any(driver not in run.drivers for driver in alive)
    finish_stopping(run)


def finish_stopping(run: Run) -> None:
    """Cancel a run, and do what was not done of that, or of its end.

    Called where nothing of the run is on the stack but what has just been cut.
    """
    if run.phase is OVER:
        wind_up(run)
        return
    _end_what_was_cut(run)
    if run.phase in GOES_ON:
        # It was cut as it noted how it ends, and nobody was told.
        run.ending = None
    if not run.stop(CANCELLED, final=False):
        if run.phase is not CLOSING:
            # It was stopping; perhaps not all of it was told.
            run.call_off_what_is_due()
            for driver in list(run.drivers):
                run.interrupt(driver)
            _finish_children(run)
        run.end_if_empty()


def _end_what_was_cut(run: Run) -> None:
    """End the steps that are lost, and what has come half-way to its end, or to its waiting."""
    _end_lost(run)
    for whole in _mapped(run):
        take_what_is_over(whole)
    for whole in list(run.wholes or ()):
        whole.end_if_over()
        if run.wholes is not None and not whole.work.open:
            # Its end was cut, or what makes its next item. If it has not ended, it is lost now.
            run.wholes.pop(whole, None)
    _end_lost(run)
    if run.waiting is not None and not run.waiting.put_off:
        # It was cut as it began to wait, and nothing comes of that.
        run.stop_waiting(WaitsFor.INSTANT)


def _end_lost(run: Run) -> None:
    """Cancel the steps that are lost."""
    for step in _lost(run):
        if step.state not in UNDECIDED:
            # A mapped task that has ended with its last item.
            continue
        if step.started_at is None:
            # It has no event and no end, as any step that never began.
            step.state = CANCELLED
            step._release()
            step._run_done_callbacks()
        else:
            settle(run, step, cancelled(run.backend.time()))


def take_what_is_over(whole: Any) -> None:
    """Have a mapped task take its items that are over, and have not been taken."""
    for item in list(whole.work.open):
        if item.state is PENDING or item.state is INTERRUPTED:
            continue
        has_error = item.state is not FAILED or item.error is not None
        if item.ended_at is None or item.state is RETRIED or not has_error:
            # Not all of its end was kept; or there is no next attempt in this run.
            settle(whole.run, item, cancelled(whole.run.backend.time()))
        else:
            whole.take(item)


def _finish_children(run: Run) -> None:
    """Cancel the children of a run, and take the end of those whose begin or end was cut."""
    waiting = run.waiting
    if waiting is None or WaitsFor.CHILD not in waiting.reasons:
        return
    for child in list(waiting.children or ()):
        child.stop(CANCELLED, final=False)
        if child.run.phase is OVER and child in (waiting.children or ()):
            child.when_over()
    if not waiting.children:
        run.stop_waiting(WaitsFor.CHILD)


def close_coroutine(driver: Driver) -> bool:
    """Close what a driver has left in the middle: the coroutine of a step, or of its `teardown()`.

    Else that would be closed when nobody refers to it any more, at any time and in any context.

    Returns:
        Whether it was in the middle; False if it had ended.
    """
    coroutine, context = driver.coroutine, driver.context
    if context is None or getattr(coroutine, "cr_frame", None) is None:
        return False
    attempt(context.run, coroutine.close)
    return True


def _lost(run: Run) -> list[LiveStep]:
    """Return the steps that have not ended, and that are in nobody's hands."""
    held = {driver.step for driver in run.drivers} | set(run.plan.ready)
    held.update(run.wholes or ())
    waiting = run.waiting
    if waiting is not None:
        held.update(waiting.interrupted)
        held.update(one.step for one in waiting.children or () if one.is_step)
        if run.phase is CLOSING:
            held.update(waiting.put_off)
    if run.phase is CLOSING:
        held.update(closing_of(run).due)
    return [step for step in _steps_of(run) if step.state in UNDECIDED and step not in held]


def _mapped(run: Run) -> list[Any]:
    """Return the steps of mapped tasks that have items."""
    return [step for step in run.plan.reached() if work_of(step) is not None]


def _steps_of(run: Run) -> Iterator[LiveStep]:
    """Yield the steps of a run, those outside of the graph first."""
    for whole in _mapped(run):
        yield from list(whole.work.open)
    if run.phase is CLOSING:
        yield from list(closing_of(run).steps)
    yield from run.plan.reached()
