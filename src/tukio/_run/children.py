"""The children of a run: runs that its steps have started, and that it waits for.

Owns:   which runs are children of which step, until they are over.

A run is not over before its children are, however it ends.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from .._model.guard import call_all
from .._model.state import CANCELLED, OVER, STOPPING, TIMED_OUT
from .closing import bound_closing, closing_until
from .waiting import WaitsFor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._model.state import FutureState
    from .waiting import Waiting


class RunOfChildren(Protocol):
    """What the children of a run ask of it."""

    @property
    def ending(self) -> FutureState | None:
        """How it is about to end."""
        ...

    @property
    def waiting(self) -> Waiting | None:
        """What it waits for."""
        ...

    def wait_for(self, reason: WaitsFor) -> None:
        """Wait for something."""
        ...

    def stop_waiting(self, *reasons: WaitsFor) -> None:
        """Wait for some things no more."""
        ...


class Child:
    """A run that a step has started, and waits for.

    Attributes:
        step: The step. If that is interrupted, the one that runs the task again.
        workflow: The run; it has no other owner before it has started.
        data: What it was started with, for one that code has started; else None.
        is_told: Whether the errors that it has finished with are known as those of the step.
        is_suspended: Whether it was suspended because its parent was.
        when_over: Called when the run is over.
        is_step: Whether the run is all that the step does, which then has no driver.
        call_off: Calls off the alarm of the limit of the step; None if there is none.
    """

    __slots__ = (
        "call_off",
        "data",
        "is_step",
        "is_suspended",
        "is_told",
        "step",
        "when_over",
        "workflow",
    )

    when_over: Callable[[], object]

    def __init__(self, step: Any, workflow: Any, *, is_step: bool) -> None:
        self.step: Any = step
        self.workflow: Any = workflow
        self.is_step: bool = is_step
        self.data: Any = None
        self.is_suspended: bool = False
        self.is_told: bool = False
        self.call_off: Callable[[], None] | None = None

    @property
    def run(self) -> Any:
        """The run itself."""
        return self.workflow._run

    def report(self, *, data: bool = True) -> dict[str, Any]:
        """Return the report of the run."""
        report: dict[str, Any] = self.workflow.report(data=data)
        return report

    def stop(self, ending: FutureState, *, final: bool = True) -> None:
        """Cancel the run, for the reason for which the step is cut; nothing if it is over."""
        # The step may be the first to learn of a limit of its run. That came first, and stops this,
        # too: then there is nothing left to do here.
        self.step.run.stop_if_expired()
        if self.run.phase is OVER:
            # The time in which the runs above close does not begin for it.
            return
        if ending is not TIMED_OUT:
            ending = CANCELLED
            self.run.note_reason(self.step.run.reason)
        bound_closing(self.run, _time_to_close(self.step.run))
        self.run.stop(ending, final=final)

    def stop_keeping_limit(self) -> None:
        """Call off the alarm of the limit of the step."""
        if self.call_off is not None:
            self.call_off()
            self.call_off = None


def _time_to_close(run: Any) -> float:
    """Return until when the children of a run may close: inf if none of the runs above stops.

    The closing of a run that stops, and those of all runs below it, are one budget.
    """
    until = math.inf
    while run is not None:
        if run.phase is STOPPING:
            until = min(until, closing_until(run))
        child_of = run.environment.child_of
        run = None if child_of is None else child_of.step.run
    return until


def heed_limit(run: Any) -> None:
    """Called as a child is over, before anything follows from that.

    A limit that its run has reached came first, though nobody may have noticed: that has cut the
    child, too, so the time in which the run closes begins.
    """
    if run.stop_if_expired():
        closing_until(run)


def adopt(run: RunOfChildren, child: Child, when_over: Callable[[], object]) -> None:
    """Have a run wait for a child, which has not started."""
    child.when_over = when_over
    run.wait_for(WaitsFor.CHILD)
    assert run.waiting is not None
    if run.waiting.children is None:
        run.waiting.children = {}
    run.waiting.children[child] = None


def let_go(run: RunOfChildren, child: Child) -> None:
    """Have a run wait no more for a child, which is over or was never started."""
    child.stop_keeping_limit()
    waiting = run.waiting
    if waiting is None or waiting.children is None or child not in waiting.children:
        return
    del waiting.children[child]
    if not waiting.children:
        run.stop_waiting(WaitsFor.CHILD)


def stop_children(run: RunOfChildren, *, final: bool) -> None:
    """Cancel the children of a run that stops, for the reason for which it does."""
    assert run.waiting is not None
    assert run.ending is not None
    stop_all(run.waiting.children or (), run.ending, final=final or run.ending is TIMED_OUT)


def stop_all(children: Iterable[Child], ending: FutureState, *, final: bool = True) -> None:
    """Cancel some children, each of them, also when a handler of one ends the program."""
    call_all(partial(child.stop, ending, final=final) for child in children)
