"""The suspension of a run: which steps are to be run again, and where one host waits.

Owns:   the steps that were interrupted, and those that have yet to begin again.
Knows:  its run; the driver, which unwinds the steps, says when each is unwound.
Source: 1.x: a step that is interrupted is run again from scratch, one that is over never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from .outcome import drop
from .state import FutureState, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .run import Run
    from .task.run import TaskRun


class Suspension:
    """What a run has to remember to go on after it was suspended, or rescued.

    Args:
        run: The run.

    Attributes:
        put_off: The steps that were interrupted and have unwound.
    """

    __slots__ = ("_announced", "_due", "_run", "_wake", "put_off")

    def __init__(self, run: Run) -> None:
        self._run: Run = run
        self._wake: anyio.Event | None = None
        self._due: dict[TaskRun, None] = {}
        self._announced: str = ""
        self.put_off: list[TaskRun] = []

    def cut_steps(self) -> None:
        """Interrupt every step at work; the driver then hands each to `put_off_step`."""
        for host in list(self._run.hosts):
            step = host.step
            if step is None or step.host is None or step.cut is not None:
                continue
            if host.scope is not None and host.scope.cancel_called:
                # It has reached its limit, or was cancelled, before: that counts.
                step.cut = FutureState.timeout
            else:
                step.cut = FutureState.suspended
                self._run.interrupt(host)

    def put_off_step(self, step: TaskRun) -> None:
        """Keep an interrupted step for later - or run it again, if the run was resumed by now."""
        step.state = FutureState.suspended
        step.let_go()
        if self._run.phase is Phase.SUSPENDED:
            self.put_off.append(step)
        else:
            self._run.plan.again(step)

    def steps_again(self) -> list[TaskRun]:
        """Make all steps that were put off ready again, and return them as they are now."""
        put_off, self.put_off = self.put_off, []
        return [self._run.plan.again(step) for step in put_off]

    def drop_steps(self) -> None:
        """Cancel the steps that were put off: there will be no resume."""
        put_off, self.put_off = self.put_off, []
        self._due.clear()
        for step in put_off:
            drop(self._run, step)

    # The event of a resume or a rescue comes after the beginnings that it causes, as in 1.x.

    def announce_after(self, kind: str, steps: Iterable[TaskRun]) -> None:
        """Send an execution event of the run as soon as all of these steps have begun."""
        self._announced = kind
        self._due |= dict.fromkeys(steps)
        if not self._due:
            self._run.tell(kind, None)

    def begun(self, step: TaskRun) -> None:
        """Learn that a step has begun."""
        if self._due.pop(step, self) is not self and not self._due:
            self._run.tell(self._announced, None)

    # Where a host waits: the tree of the run stays open, and its limit is kept.

    @property
    def is_attended(self) -> bool:
        """Whether a host waits for the run to be resumed."""
        return self._wake is not None

    async def wait(self) -> None:
        """Wait for the run to be resumed."""
        self._wake = anyio.Event()
        await self._wake.wait()

    def wake(self) -> bool:
        """Let the waiting host go on; return whether there is one."""
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.set()
        return wake is not None
