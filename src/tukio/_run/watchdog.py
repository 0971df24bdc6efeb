"""The search for steps that go on although they were cancelled.

Owns:   which runs may have such a step, and the one timer of the next look at them.
Knows:  the drivers of a run and their scopes; it never interferes.

A step that behaves costs a comparison if it has a limit, and nothing otherwise: a look is planned
only for after a cancellation, or after the earliest limit. No step that is stuck is overlooked
for longer than twice `PATIENCE`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from .._loop.frames import frames_of, stack_of
from .._model.logs import Log
from .._model.state import TaskExecState
from .._step.log_fields import log_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._loop.contract import Clock, Driver
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep

log: Log = Log("tukio.watchdog")

PATIENCE = 5.0
"""Seconds that a cancelled step has to unwind before it is named."""


class Watched(Protocol):
    """What the watchdog asks of a run."""

    drivers: dict[Driver, None]
    deadline: float

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    @property
    def template(self) -> WorkflowTemplate:
        """What is run."""
        ...

    def emit(self, kind: str, content: Any, step: LiveStep) -> None:
        """Send an execution event of one of its steps."""
        ...


class Watchdog:
    """Names the steps that are still running `PATIENCE` seconds after they were cancelled.

    So it does with those whose `teardown()` goes on although its limit has passed.

    Each is named once, in a warning of the log and in the execution event `task-stuck`, with the
    place where it is. A step that never awaits cannot be seen: nothing else runs meanwhile.

    Args:
        clock: The clock of the runs, and its alarms.
    """

    __slots__ = ("_cancel_look", "_clock", "_next_look", "_runs")

    def __init__(self, clock: Clock) -> None:
        self._clock: Clock = clock
        # Each run with those of its steps that were named.
        self._runs: dict[Watched, set[LiveStep]] = {}
        self._next_look: float = math.inf
        self._cancel_look: Callable[[], None] | None = None

    def watch(self, run: Watched, instant: float) -> None:
        """Look at a run some time after an instant at which a step of it is cancelled."""
        if run not in self._runs:
            self._runs[run] = set()
        if instant + PATIENCE < self._next_look:
            self._plan(instant + PATIENCE)

    def has_named(self, run: Watched) -> bool:
        """Return whether a step of a run was named, and is still at work."""
        return any(step.ended_at is None for step in self._runs.get(run, ()))

    def forget(self, run: Watched) -> None:
        """Look at a run no more: it is over."""
        if self._runs.pop(run, None) is not None and not self._runs:
            self._plan(math.inf)

    def _plan(self, look: float) -> None:
        if self._cancel_look is not None:
            self._cancel_look()
            self._cancel_look = None
        self._next_look = look
        if look < math.inf:
            self._cancel_look = self._clock.alarms.at(look, self._look)

    def _look(self) -> None:
        self._cancel_look = None
        now = self._clock.time()
        following = math.inf
        try:
            for run in list(self._runs):
                following = min(following, self._look_at(run, now))
        finally:
            # Many steps with a limit each must not mean a look for each.
            self._plan(max(following, now + PATIENCE))

    def _look_at(self, run: Watched, now: float) -> float:
        """Name the steps of a run that are stuck, and return when to look at it next."""
        # What will be at work at its deadline may not have begun, or waits for a resume.
        following = run.deadline + PATIENCE if run.deadline > now else math.inf
        # Whoever hears of a step may end its run, which is forgotten then.
        named = self._runs.get(run, set())
        for driver in list(run.drivers):
            due = _due(driver, named)
            if due > now:
                following = min(following, due)
            elif driver.step is not None and _awaits_a_run(driver.step):
                # The tasks of that are looked at.
                following = min(following, now + PATIENCE)
            elif driver.step is not None:
                named.add(driver.step)
                _name(run, driver, driver.step, now - due + PATIENCE)
        return following


def _due(driver: Driver, named: set[LiveStep]) -> float:
    """Return when the step of a driver is to be named; inf for never."""
    step = driver.step
    if step is None or step in named or driver.scope is None:
        # Idle, or named before.
        return math.inf
    # While it is cleaned up after, its scope has been left, and has nothing to say.
    deadline = math.inf if step.driver is None else driver.scope.deadline
    return min(driver.cancelled_at, deadline) + PATIENCE


def _awaits_a_run(step: LiveStep) -> bool:
    calls = None if step._extras is None else step._extras.calls
    return calls is not None and calls.awaited > 0


def _name(run: Watched, driver: Driver, step: LiveStep, seconds: float) -> None:
    stack = stack_of(frames_of(driver.coroutine))
    log.warning(
        "task '%s' of workflow %s is still running %.1f s after it was cancelled",
        step.template.uid,
        run.uid,
        seconds,
        stack=stack,
        extra=log_fields(run, step),
    )
    content = {"seconds": seconds, "stack": stack}
    run.emit(TaskExecState.STUCK.value, content, step)
