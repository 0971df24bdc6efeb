"""How a step is interrupted: what it is cut for, how it unwinds, and how it ends then.

Knows:  the behaviours of `tukio.testing.actors`; the run, for what becomes of the step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import children, joins, limits, maps, retries
from .leading import lead_on
from .parts import ERRORS, RETURNS, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Run
    from .parts import Step

LATE_ERRORS = {"skip": "SkipTask", "task error": "TukioTaskError"}
"""What is an error, too, of a step that has overrun its limit."""
CLEANUP = 5
"""Seconds that a teardown may take."""


def cut(run: Run, step: Step, why: str) -> None:
    """Interrupt a step at work; what is due at this very instant may still come first."""
    if not step.at_work or step.state == "suspended":
        return
    if step.items is not None and step.task.get("workflow") and why == "suspend":
        return  # there is nothing to begin anew: its children are suspended
    if step.items is not None:
        maps.cut(run, step, why)
    elif step.child:
        children.cut(run, step, why)
    elif step.cut is None:
        run.forget(step, after=run.now)
        step.cut, step.cut_at = why, run.now
        run.later(run.now, lambda: reach(run, step), step)
    elif WEIGHTS[why] > WEIGHTS[step.cut] and not step.cleaning:
        step.cut = why


def reach(run: Run, step: Step) -> None:
    """Let a step learn that it is interrupted; its own shield holds for a while."""
    run.forget(step)
    step.reads, step.reached = False, True
    if step.config.get("swallows"):
        step.heard = []  # it has started over, and was cut again at once
    how = step.config.get("when_cut", "passes")
    after(run, step, step.config.get("shields", 0), partial(react, run, step, how))


def after(run: Run, step: Step, seconds: float, act: Callable[[], object]) -> None:
    """Let a step do something after a while; without one, at once."""
    if seconds:
        run.later(run.now + seconds, act, step)
    else:
        act()


def react(run: Run, step: Step, how: str) -> None:
    """End in the way of its own, if it has one; else as it was told. Past its limit, late."""
    if step.items is None:
        # Whoever waits for items is not slow: they are.
        run.slow[step.uid] = max(run.slow.get(step.uid, 0), run.now - step.cut_at)
    step.overran = limits.has_overrun(run, step)
    if step.overran:
        if step.cut == "suspend":
            step.cut = "limit"
        # Whatever it returned: it was too late.
        tear_down(run, step, "passes" if how in RETURNS else how)
    elif how == "passes" and step.cut == "suspend":
        put_off(run, step)
    elif step.cut == "suspend" or how in RETURNS:
        run.end_as(step, how)
    else:
        tear_down(run, step, how)


def put_off(run: Run, step: Step) -> None:
    """Have a step that was interrupted run again, when the run is resumed."""
    step.state = "suspended"
    if step.whole is not None:
        maps.interrupted(run, step)
    elif run.phase == "suspended":
        run.put_off.append(step)
    else:
        run.ready.append(run.again(step))


def tear_down(run: Run, step: Step, how: str) -> None:
    """Clean up within a limit (G5), then end the step."""
    step.cleaning = True
    seconds = min(step.config.get("cleans", 0), CLEANUP)
    act = partial(torn_down, run, step, how)
    if seconds or (run.due_now() and step.items is None):
        # Even if it takes no time, others may have a turn before it is over.
        run.later(run.now + seconds, act, step)
    else:
        act()


def torn_down(run: Run, step: Step, how: str) -> None:
    """End an interrupted step; past its limit, it leads on (G4)."""
    config, result = step.config, step.inputs
    if config.get("cleans", 0) > CLEANUP:
        run.note(step, "CleanupTimedOut")
    elif config.get("teardown") == "error":
        run.note(step, "LookupError")
    elif config.get("teardown") == "dict":
        result = {step.uid: "torn down"}
    if step.is_join:
        step.status = "timeout" if step.cut == "limit" else "cancelled"
        result = joins.collected(run, step)
    late = step.overran and step.cut == "limit"
    if late and how != "passes":
        step.beside.append(LATE_ERRORS.get(how) or ERRORS[how])
        how = "passes"
    end_torn_down(run, step, how, result)


def end_torn_down(run: Run, step: Step, how: str, result: Any) -> None:
    """End a step that was interrupted and cleaned up after."""
    if how != "passes":
        run.end_as(step, how)
    elif step.cut == "limit":
        if step.is_join:
            run.tell("task-progress", step.uid, (tuple(step.joined), "timeout"))
        if step.task.get("on_timeout") in {"fail", "retry"} or retries.left(run, step) <= 0:
            step.outputs = None if result is step.inputs else result
            run.fail(step, "TaskTimedOut")
            return
        for one in step.beside:
            run.note(step, one)
        step.outputs = result
        run.end(step, "timeout", "task-timeout", result)
        lead_on(run, step, result)
    elif step.loose and run.no_time:
        run.fail(step, "CleanupTimedOut")
    else:
        run.end(step, "cancelled", "task-cancel", None)
        lead_on(run, step, None)
