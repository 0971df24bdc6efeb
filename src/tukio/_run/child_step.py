"""Steps that are runs of their own: those of tasks with a `workflow`.

Owns:   how such a step begins, what cuts it, and how its end follows from that of its child.
Knows:  the child, a run like any other; the engine starts it.

Such a step needs no driver: its run waits for the child, whose steps have drivers of their own.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .._loop.surroundings import surroundings
from .._model.errors import EngineError, failure_of
from .._model.event import Event, sent_by
from .._model.guard import attempt
from .._model.state import (
    CANCELLED,
    FINISHED,
    OVER,
    STOPPING,
    SUSPENDED,
    TASK_BEGIN,
    TIMED_OUT,
)
from .._step.child import Reported
from . import restoring
from .children import Child, adopt, heed_limit, let_go
from .environment import ChildOf
from .outcome import CalledOff, cancelled, failed, finished, timed_out
from .parking import Parked, go_on
from .retrying import settle_failure
from .settling import record_error, settle
from .suspending import suspend_child
from .task_run import TaskRun
from .verdict import handed_over, problem_of, unhandled
from .within import check_time_left, time_left

if TYPE_CHECKING:
    from .._model.state import FutureState
    from .._model.template import WorkflowTemplate

CUT: Final = {CANCELLED, TIMED_OUT}


class ChildStep(TaskRun):
    """A step that starts a run, and has the end of that."""

    __slots__ = ()

    # Its begin ----------------------------------------------------------------------------------

    def _begin(self) -> Any:
        """Return a coroutine that starts the child, for the driver to run; tell that this begins.

        Raises:
            CalledOff: The step was cancelled while it was due.
            TaskTimedOut: The time in which the task may be tried is over.
        """
        run = self.run
        surroundings.set((self, run.face))
        try:
            if self.cancel_called:
                raise CalledOff
            check_time_left(self, run.backend.time())
        finally:
            # Also when it does not begin: a step that is over has begun.
            if run.broker.has_listeners:
                run.emit(TASK_BEGIN, self.input_data, self)
            if run.announcement is not None:
                run.has_begun(self)
        return self._start()

    async def _start(self) -> NoReturn:
        """Start the child.

        Raises:
            Parked: It was started, or has ended before.
            EngineError: There is no engine that could start it.
            Exception: It could not be started.

        Cancellation: it was not started.
        """
        run, extras = self.run, self.extras
        children = run.environment.children
        if children is None:
            msg = "a run without an engine has no children - start it by engine.start(...)"
            raise EngineError(msg)
        child = extras.child
        if isinstance(child, Child):
            # From a report.
            start = partial(restoring.go_on, child.run)
        else:
            child_of = ChildOf(run.face, self)
            workflow = await children.make(child_of, self._workflow(), self._child_id())
            extras.child = child = Child(self, workflow, is_step=True)
            start = partial(workflow._run.start, self._event())
        # First: whatever happens from here on, the run is not over before its child is.
        when_over = partial(self._child_is_over, child)
        adopt(run, child, when_over)
        try:
            children.launch(child.run, start, when_over)
        except Exception:
            if child.run.ending not in CUT:
                extras.child = None
                let_go(run, child)
                raise
            # It was told to stop before it began.
        raise Parked

    def _event(self) -> Event:
        """Return the event that the child starts with: as many runs have led to it as to this."""
        event, trigger = sent_by(self, self.input_data), self.run._trigger
        if type(trigger) is Event:
            event._hops = trigger.hops
        return event

    def _child_id(self) -> str:
        return f"{self._key}/{self.attempt}"

    def _workflow(self) -> WorkflowTemplate | str:
        """Return what the task runs: a template, or the id of a loaded one."""
        found: WorkflowTemplate | str = self.run.plan.shape.child(self.number)
        return found

    def _park(self) -> None:
        """Called when the child was started: the driver of this step is needed no more."""
        self.driver = None
        child = self._child
        assert child is not None
        if child.run.phase is OVER:
            self._take_end(child)
        elif self.run.phase is STOPPING or self.cancel_called:
            child.stop(CANCELLED, final=self.run.phase is not STOPPING)
        elif self.interrupted_for is TIMED_OUT:
            child.stop(TIMED_OUT)
        else:
            if self.run.phase is SUSPENDED and not child.is_suspended:
                suspend_child(child)
            self._keep_limit(child)

    def _keep_limit(self, child: Child) -> None:
        """Set an alarm for when this step, or the time in which it may be tried, is over."""
        assert self.started_at is not None
        left = time_left(self, self.started_at)
        limit = min(self.template.timeout or math.inf, math.inf if left is None else left)
        if limit < math.inf:
            alarms = self.run.backend.alarms
            child.call_off = alarms.at(self.started_at + limit, self._reach_limit)

    def _reach_limit(self) -> None:
        child = self._child
        if child is not None and self.ended_at is None:
            child.stop_keeping_limit()
            self.interrupted_for = TIMED_OUT
            child.stop(TIMED_OUT)

    @property
    def _child(self) -> Child | None:
        """The child, if there is one that this has started, or is about to."""
        child = None if self._extras is None else self._extras.child
        return child if isinstance(child, Child) else None

    # What cuts it -------------------------------------------------------------------------------

    def _cut_parked(self, ending: FutureState) -> bool:
        """Cut this step, and its child, if it waits for that; see `StepFuture._cut_parked`."""
        child = self._awaited_child()
        if child is None:
            return False
        if ending is CANCELLED:
            self.cancel_called = True
        else:
            self.interrupted_for = ending
        child.stop(ending)
        return True

    def _awaited_child(self) -> Child | None:
        """Return the child that this waits for without a driver; None if there is none."""
        is_waiting = self.driver is None and self.started_at is not None and self.ended_at is None
        return self._child if is_waiting else None

    # Its end ------------------------------------------------------------------------------------

    def _child_is_over(self, child: Child) -> None:
        """Called when the child is over."""
        if self.ended_at is not None:
            # The program ends, and has cut the begin of this.
            let_go(self.run, child)
            self.run.end_if_empty()
        elif self.driver not in self.run.drivers:
            self._take_end(child)
        # Else it has ended before this step has left its driver, which comes to `_park`.

    def _take_end(self, child: Child) -> None:
        """End this step, for its child is over."""
        child.stop_keeping_limit()
        try:
            heed_limit(self.run)
        finally:
            # Also when a callback in there has ended the program: nobody else comes to do it.
            self._follow(child)

    def _follow(self, child: Child) -> None:
        """End this step as follows from the end of its child."""
        run = self.run
        try:
            self._settle(child, run.backend.time())
        except BaseException:
            if self.ended_at is None:
                # A predicate has ended the program: all of the run ends, and this with it.
                run.cancel_from_outside()
                self._settle(child, run.backend.time())
            raise
        finally:
            # If Ctrl-C has come before, this is called again.
            if self.ended_at is not None:
                let_go(run, child)
                go_on(run)

    def _settle(self, child: Child, now: float) -> None:
        run, its, steps = self.run, child.run, child.workflow._steps
        late = self._is_late(now)
        if run.phase is STOPPING or self.cancel_called:
            # It would be run again by a rescue, which goes on with its child.
            self._keep_report(child)
            if problems := unhandled(its, steps):
                record_error(run, self, failure_of(its.template.uid, problems))
            settle(run, self, cancelled(now))
        elif late or self.interrupted_for is TIMED_OUT:
            self._settle_late(child, now)
        elif its.ending is FINISHED:
            problem = problem_of(its, steps)
            if problem is None:
                self.extras.child = None
            else:
                self._keep_report(child)
                record_error(run, self, problem)
            settle(run, self, finished(run.plan, self, handed_over(its, child.workflow), now))
        else:
            error = problem_of(its, steps) if its.failure is None else its.failure
            assert error is not None
            self.extras.child = None
            settle_failure(run, self, failed(self, error, now))

    def _settle_late(self, child: Child, now: float) -> None:
        """End this step, which has reached its limit."""
        run, its = self.run, child.run
        problems = unhandled(its, child.workflow._steps)
        error = failure_of(its.template.uid, problems) if problems else None
        self.extras.child = None
        left = time_left(self, now)
        is_last = left is not None and left <= 0
        ending, _ = timed_out(run.plan, self, None, now, is_last=is_last)
        settle_failure(run, self, ending, beside=(error,))

    def _keep_report(self, child: Child) -> None:
        """Keep the report of the child, which is over, in place of the child."""
        report, problem = attempt(child.report)
        if problem is not None:
            # It is nested too deeply.
            record_error(self.run, self, problem)
        self.extras.child = None if report is None else Reported(report)
