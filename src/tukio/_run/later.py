"""Steps that wait for an instant, without a driver: the next attempts at tasks that have failed.

Knows:  the run, whose `waiting` has them, and the alarms of its loop.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .._model.state import SUSPENDED
from .waiting import WaitsFor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._step.step import LiveStep
    from .run import Run


def put_off(run: Run, step: LiveStep, instant: float) -> None:
    """Have a step begin at an instant of the clock; it is in the plan, and not ready."""
    run.wait_for(WaitsFor.INSTANT)
    assert run.waiting is not None
    step.extras.due = instant
    call_off = run.backend.alarms.at(instant, partial(come_due, run, step))
    run.waiting.put_off[step] = call_off


def withdraw(run: Run, steps: Iterable[LiveStep]) -> None:
    """Take steps out of those that are ready or put off; they have not begun."""
    gone = dict.fromkeys(steps)
    ready = run.plan.ready
    if ready and gone:
        # The queue itself: drivers hold it.
        rest = [step for step in ready if step not in gone]
        ready.clear()
        ready.extend(rest)
    waiting = run.waiting
    if waiting is None or not waiting.put_off:
        return
    for step in gone:
        call_off = waiting.put_off.pop(step, None)
        if call_off is not None:
            call_off()
    if not waiting.put_off:
        run.stop_waiting(WaitsFor.INSTANT)


def come_due(run: Run, step: LiveStep) -> None:
    """Make a step ready that was put off; nothing happens if it was not."""
    waiting = run.waiting
    if run.stop_if_expired() or waiting is None or step not in waiting.put_off:
        return
    waiting.put_off.pop(step)()
    step.extras.due = None
    # While the run is suspended, it is ready for when that is resumed.
    run.plan.ready.append(step)
    if run.phase is not SUSPENDED:
        run.call_for_driver()
    if not waiting.put_off:
        run.stop_waiting(WaitsFor.INSTANT)
