"""The end of a run: it is over, everybody is told, and everything is let go of.

Owns:   the order of that: subscribers before waiters, and last whoever may start another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._model.errors import failure_of
from .._model.facts import RunEnded
from .._model.plan import empty_plan
from .._model.state import CANCELLED, FAILED, FINISHED, Move, after
from .item_errors import not_of_items
from .unhandled import unhandled_errors

if TYPE_CHECKING:
    from .run_state import RunState

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
END = Move.END


def conclude(run: RunState) -> None:
    """End the run: it is empty. Tell everybody, subscribers before waiters."""
    # Facts first: whatever is raised further down, the run is over.
    run.ended_at = now = run.backend.time()
    ending = run.ending = run.ending or FINISHED
    if ending is FAILED and run.failure is None:
        errors = not_of_items(unhandled_errors(run, run.plan.steps), run.plan.steps)
        run.failure = failure_of(run.template.uid, errors)
    run.phase = after(run.phase, END)
    try:
        if run.ledger is not None and run.keeps_facts:
            run.keep_fact(RunEnded(ending, run.backend.wall_time(now)))
        # Before any waiter learns of the end: whoever waits then finds what handlers have done.
        if run.broker.has_listeners:
            run.emit_the_end(ending)
    finally:
        wind_up(run)


def wind_up(run: RunState) -> None:
    """Let go of everything, and tell those who wait for the end; again if that was cut."""
    face, when_over, ending = run.face, run.when_over, run.ending
    try:
        if face is not None:
            assert ending is not None
            face._resolved(ending, run.failure)
    except BaseException:
        # Ctrl-C: this time without it.
        if face is not None:
            face._resolved(ending or CANCELLED, run.failure)
        raise
    finally:
        if run._end_event is not None:
            run._end_event.set()
        run.environment.watchdog.forget(run)
        roots = run.backend.roots
        if roots is not None:
            roots.discard(run)
        # What is kept is what it takes to look at it. The workflow holds this and the steps,
        # and they hold this: no circle, so they go without the garbage collector.
        run.plan = empty_plan(run.plan.shape)
        run.context = run._trigger = run.face = run.waiting = run.announcement = run.wholes = None
        run.drivers, run._given = {}, None
        # Last, as this may start another run.
        run.when_over = None
        if when_over is not None:
            when_over(run)
