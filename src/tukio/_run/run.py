"""One run: its phase, its drivers and limits, and its one end.

Owns:   all state of a run that changes, and when it starts, is suspended, stops and ends; all
        decided without awaiting.
Knows:  the plan, which says what comes next; the backend, which spawns drivers; nothing of how a
        driver waits.
"""

from __future__ import annotations

import math
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from .._model.event import Event, sent_by
from .._model.facts import RunClosing, RunStarted, RunStopped
from .._model.state import (
    CANCELLED,
    CLOSING,
    FAILED,
    OVER,
    RUNNING,
    TIMED_OUT,
    FutureState,
    Move,
    WorkflowExecState,
    after,
)
from .._model.step import LOOSE
from .announcement import Announcement
from .calling_off import call_off
from .children import stop_children
from .closing import bound_closing, close, reach_limit
from .concluding import conclude
from .run_state import RunState
from .waiting import Waiting, WaitsFor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._loop.contract import Driver
    from .._step.step import LiveStep

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
START = Move.START


class Run(RunState):
    """One run, and all that can be done to it."""

    __slots__ = ()

    # Its start ---------------------------------------------------------------------------------

    def start(self, trigger: Any) -> LiveStep:
        """Start the run: its root task begins in the next turn of the event loop.

        Args:
            trigger: The event to start with, the run's own; else what the root task is given.

        Returns:
            The execution of the root task.

        Raises:
            IllegalMove: It was started, or cancelled, before.
        """
        now = self.backend.time()
        # Before the move: the template may have been spoilt since it was validated.
        limit = now + self.template.timeout if self.template.timeout else math.inf
        self.phase = after(self.phase, START)
        if self.waiting is not None:
            self.stop_waiting(WaitsFor.TURN)
        self._trigger = trigger
        self.started_at = now
        self.limit = limit
        if limit < math.inf:
            self._end_by(limit, TIMED_OUT)
        data = trigger.data if isinstance(trigger, Event) else trigger
        root = self.plan.begin(data)
        if self.ledger is not None and self.keeps_facts:
            begun = self.backend.wall_time(now)
            self.keep_fact(RunStarted(self.uid, begun, data, self.appointment))
        self.launch()
        return root

    def launch(self) -> None:
        """Spawn the first driver; it takes what is ready."""
        if self.context is None:
            self.context = copy_context()
        roots = self.backend.roots
        if roots is not None:
            roots.add(self)
        self.spawn()

    def fail_to_start(self, error: Exception) -> None:
        """End the run: it cannot start. Not even the driver comes that it may have called for."""
        self.driver_pending = False
        self.stop(FAILED, error)

    def begin(self) -> None:
        """Announce the run, when its first driver begins."""
        if not self._begun and self.phase is RUNNING:
            self.tell_begin()

    def tell_begin(self) -> None:
        """Announce the run, once."""
        self._begun = True
        if self.broker.has_listeners:
            data = self._trigger.data if isinstance(self._trigger, Event) else self._trigger
            self.emit(WorkflowExecState.BEGIN.value, data)

    def first_event(self, step: LiveStep) -> Any:
        """Return what a step is called with that no other has led to.

        For the root task that is what the run was started with: of an event, a copy of its own.
        """
        if step.number == LOOSE:
            return sent_by(self, step.input_data)
        return self._trigger.__copy__() if isinstance(self._trigger, Event) else self._trigger

    # Its drivers -------------------------------------------------------------------------------

    def call_for_driver(self) -> None:
        """Spawn one more driver if there are steps for it; it will call for the next."""
        if self.plan.ready and not self.driver_pending:
            self.spawn()

    def spawn(self) -> None:
        """Spawn a driver."""
        name = self.plan.shape.driver_name
        self.backend.spawn(self.environment.drive, self, name, self.context)
        self.driver_pending = True

    def add_driver(self, driver: Driver) -> None:
        """Take a driver that begins; if all around it was cancelled before, the run stops."""
        self.driver_pending = False
        self.drivers[driver] = None
        if driver.cancelled_early:
            self.cancel_from_outside()

    def remove_driver(self, driver: Driver) -> None:
        """Take note that a driver has left, for it has nothing to do; the last one ends the run."""
        drivers = self.drivers
        del drivers[driver]
        if not drivers:
            self.end_if_empty()

    def interrupt(self, driver: Driver) -> None:
        """Cancel the step that a driver is driving, unless it is being cleaned up after already."""
        driver.scope_spent = True
        if driver.step is not None and driver.step.driver is None:
            return
        now = self.backend.time()
        driver.cancelled_at = min(driver.cancelled_at, now)
        self.environment.watchdog.watch(self, now)
        if driver.scope is not None:
            driver.scope.cancel()

    # What it announces after its steps have begun ----------------------------------------------

    def announce_after(self, kind: str, steps: Iterable[LiveStep]) -> None:
        """Send an execution event of the run as soon as all of these steps have begun."""
        if self.announcement is None:
            self.announcement = Announcement(kind, steps)
        else:
            self.announcement.wait_also_for(kind, steps)
        if self.announcement.is_due():
            self._announce(self.announcement)

    def has_begun(self, step: LiveStep) -> None:
        """Called when a step begins, if there is an announcement."""
        if self.announcement is not None and self.announcement.has_begun(step):
            self._announce(self.announcement)

    def _announce(self, announcement: Announcement) -> None:
        self.announcement = None
        self.emit(announcement.kind, None)

    # Waiting without a driver ------------------------------------------------------------------

    def wait_for(self, reason: WaitsFor) -> None:
        """Wait for something: until then the run is not over, and needs no driver."""
        if self.waiting is None:
            self.waiting = Waiting()
        self.waiting.add(reason, self.backend.time())
        self.backend.attend(self)
        self.keep_deadline()

    def keep_deadline(self) -> None:
        """Set the alarm of the deadline: there may be no driver whose scope keeps it."""
        if self.waiting:
            self.waiting.keep_deadline(self.backend.alarms, self.deadline, self.stop_if_expired)

    def stop_waiting(self, *reasons: WaitsFor) -> None:
        """Wait for some things no more; the drivers of the run keep its deadline when none is left.

        Args:
            reasons: What the run need not wait for any more.
        """
        assert self.waiting is not None
        self.waiting.reasons.difference_update(reasons)
        if not self.waiting:
            self.waiting.stop_keeping_deadline()
            self.backend.leave(self)

    # Its limits --------------------------------------------------------------------------------

    def stop_at(self, deadline: float) -> None:
        """Cancel the run at an instant of its clock, unless it is over by then.

        It closes then, and has no more time for that than if it began at once.
        """
        bound_closing(self, deadline + (self.template.closing_timeout or math.inf))
        if self.phase is CLOSING:
            return
        self._end_by(deadline, CANCELLED)
        for driver in self.drivers:
            # A driver without a scope looks at the clock before each step, and enters one for the
            # first that may suspend.
            if driver.scope is not None and not driver.scope_spent:
                driver.scope.deadline = min(driver.scope.deadline, deadline)
        self.keep_deadline()

    def _end_by(self, deadline: float, ending: FutureState) -> None:
        if deadline < self.deadline:
            self.deadline = deadline
            self._deadline_means = ending
            self.environment.watchdog.watch(self, deadline)

    def stop_if_expired(self) -> bool:
        """Stop the run if its deadline is reached, and return whether it is."""
        if self.deadline == math.inf or self.backend.time() < self.deadline:
            return False
        if self.phase is CLOSING:
            # That is the limit of the closing.
            reach_limit(self)
            return True
        self.stop(self._deadline_means)
        return True

    # Its end -----------------------------------------------------------------------------------

    def stop(
        self, ending: FutureState, failure: Exception | None = None, *, final: bool = True
    ) -> bool:
        """Cancel everything; nothing of the run starts any more.

        Args:
            ending: How the run ends when all has unwound.
            failure: What it failed with.
            final: Whether this is the end of the run itself; False if it is that of its engine or
                of the program, after which the run might go on elsewhere.

        Returns:
            False if it was stopping, closing or over already: then nothing changes.
        """
        if self.ending is not None:
            return False
        try:
            self.start_stopping(ending, failure, final=final, drivers=list(self.drivers))
        finally:
            # Also when a handler has ended the program.
            try:
                if self.waiting is not None and self.waiting.children:
                    stop_children(self, final=final)
            finally:
                self.end_if_empty()
        return True

    def start_stopping(
        self,
        ending: FutureState,
        failure: Exception | None = None,
        *,
        final: bool = True,
        drivers: Iterable[Driver] = (),
    ) -> bool:
        """Enter `stopping`: no step starts from now on.

        Args:
            ending: How the run ends when all has unwound.
            failure: What it failed with.
            final: See `stop`.
            drivers: Those whose steps are cancelled; the caller cancels the others.

        Returns:
            False if it was stopping, closing or over already: then nothing changes.
        """
        if self.ending is not None:
            return False
        if self.backend.time() >= self.deadline:
            # That came first, though every driver was too busy unwinding to notice.
            ending, failure = self._deadline_means, None
            # The grace of a stop is the end of the engine, as a stop without any is.
            final = ending is TIMED_OUT
        self.ending = ending
        self.failure = failure
        # From here on nothing starts: drivers look at the phase before each step.
        self.phase = after(self.phase, Move.STOP)
        # First: no step at work may take what is called off now for a reason to go on.
        for driver in drivers:
            self.interrupt(driver)
        self.keep_fact(RunStopped(ending, final))
        child_of = self.environment.child_of
        try:
            if child_of is not None and not final:
                # All of it ends: the run above is not to take that for the end of its child alone.
                child_of.step.run.stop(CANCELLED, final=False)
        finally:
            self.call_off_what_is_due()
        return True

    def start_closing(self, ending: FutureState, until: float) -> None:
        """Enter `closing`: from now on nothing but the limit of that ends anything.

        Args:
            ending: How the run ends when it has closed.
            until: When it must have, on its clock; inf for no limit.
        """
        self.ending = ending
        self.phase = after(self.phase, Move.CLOSE)
        self.deadline = until
        if until < math.inf:
            self.environment.watchdog.watch(self, until)
        self.keep_fact(RunClosing(ending))

    def call_off_what_is_due(self) -> None:
        """Tell those who wait for what will not begin, or not go on."""
        call_off(self)

    def cancel_from_outside(self) -> None:
        """Cancel the run because all around it is cancelled, or because its loop ends."""
        self.stop(CANCELLED, final=False)

    def start_stopping_from_outside(self) -> None:
        """Start nothing any more because the loop of the run ends, which cancels the rest."""
        bound_closing(self, self.backend.time())  # nothing would come of one
        if self.start_stopping(CANCELLED, final=False) and self.backend.roots is not None:
            self.backend.roots.cut_short(self)

    def end_if_empty(self) -> None:
        """Conclude the run if nothing of it is at work and nothing is due, nor is left to close."""
        is_over = self.phase is not OVER and self.is_empty()
        if is_over and (self.plan.shape.closing is None or not close(self)):
            conclude(self)
