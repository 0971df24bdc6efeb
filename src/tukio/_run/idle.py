"""Steps that must show signs of life: those of tasks with an `idle_timeout`.

Owns:   when such a step has shown none for too long.

A sign of life only stores a number, and moves no deadline. One alarm looks at the number when the
limit would be reached, and sets itself anew if there was a sign meanwhile. So a step that shows
signs all the time has as many alarms as its duration has limits, and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.state import INTERRUPTED, STOPPING
from .._model.task_ends import TaskTimedOut
from .._step.signs import Signs
from .._step.surroundings import running_step
from .task_run import TaskRun
from .unwinding import Overrun

if TYPE_CHECKING:
    from collections.abc import Coroutine


class IdleStep(TaskRun):
    """A step that is cut like one past its limit if it shows no sign of life for too long."""

    __slots__ = ()

    def _begin(self) -> Any:
        """Begin as any step does, and look for signs of life from then on."""
        run = self.run
        signs = self.extras.signs = Signs(run.backend.time())
        coro = super()._begin()
        if run.environment.may_suspend(self.template.name):
            # Nothing cuts a step that awaits nothing; the clock is looked at when it has ended.
            signs.call_off = run.backend.alarms.at(signs.last + self._longest, self._look)
        return self._alive(coro)

    @property
    def _longest(self) -> float:
        """The seconds after which a sign of life is missed."""
        return self.template.idle_timeout or 0.0

    async def _alive(self, coro: Coroutine[Any, Any, Any]) -> Any:
        """Run the coroutine of the step; what it returns too late is not its result.

        Raises:
            Overrun: There was no sign of life for too long when it returned: it has kept the event
                loop from looking.
        """
        result = await coro
        if self._is_late(self.run.backend.time()):
            raise Overrun
        return result

    def _look(self) -> None:
        """Called when the limit would be reached if there was no sign of life meanwhile."""
        signs, backend = self.extras.signs, self.run.backend
        assert signs is not None
        signs.call_off = None
        due = signs.last + self._longest
        if self.driver is None or self.interrupted_for is not None or self._is_called_off():
            # It is being cleaned up after, or was cut before.
            return
        if backend.time() < due:
            signs.call_off = backend.alarms.at(due, self._look)
        else:
            signs.has_cut = True
            self.timeout()

    def _is_late(self, now: float) -> bool:
        """Return whether this step has overrun one of its limits."""
        if super()._is_late(now):
            return True
        signs = self.extras.signs
        if signs is None:
            return False
        # From a cut for another reason on, nobody expects signs of life.
        if not signs.has_cut and (self.interrupted_for is INTERRUPTED or self._is_called_off()):
            return False
        overran = now - signs.last - self._longest
        if overran <= 0:
            return False
        signs.has_cut = True
        self.extras.overran = overran
        return True

    def _is_called_off(self) -> bool:
        """Return whether the step was cancelled, alone or with its run."""
        run = self.run
        # Of a limit of the run, its drivers may learn only when their steps have unwound.
        return self.cancel_called or run.phase is STOPPING or run.backend.time() >= run.deadline

    def _limit_error(self) -> TaskTimedOut:
        """Return the error that stands for this step's having reached its limit."""
        signs, task = self.extras.signs, self.template
        # Of a step from a report, nothing more is known.
        if not task.timeout if signs is None else signs.has_cut:
            return TaskTimedOut(task.uid, task.idle_timeout, idle=True)
        return super()._limit_error()

    def _release(self) -> None:
        """Called when the step is over, or was interrupted: look for no further signs of life."""
        signs = self.extras.signs
        if signs is not None and signs.call_off is not None:
            signs.call_off()
            signs.call_off = None
        super()._release()


def heartbeat() -> None:
    """Show that the task that this code runs in is alive, for its `idle_timeout`.

    It may be called from anywhere in the task, a worker thread of it included, and as often as you
    like: it stores a number. It does nothing in a task without an `idle_timeout`, and outside of
    tasks.
    """
    step = running_step()
    signs = None if step is None or step._extras is None else step._extras.signs
    # Once it was cut, it is too late.
    if signs is not None and not signs.has_cut:
        assert step is not None
        signs.last = step.run.backend.time()
