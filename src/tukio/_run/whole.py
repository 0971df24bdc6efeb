"""Mapped tasks: a step that waits for its items, and passes on what they come to.

Owns:   which steps of a run wait for their items; what cuts each, and how it ends.
Knows:  the items, by what `mapping` keeps of them.

The whole needs no driver: its items have drivers of their own, and the last of them ends it.
Whatever cuts it, it is over when its items have unwound.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .._loop.surroundings import surroundings
from .._model.guard import attempt, call_all
from .._model.state import (
    CANCELLED,
    INTERRUPTED,
    PENDING,
    STOPPING,
    TASK_BEGIN,
    TIMED_OUT,
)
from .mapping import NONE_DUE, StepWithItems
from .outcome import CalledOff, cancelled, failed, finished, timed_out
from .parking import Parked, go_on
from .retrying import settle_failure
from .settling import end_interrupted, settle
from .suspending import take_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._model.state import FutureState
    from .run import Run


class MapStep(StepWithItems):
    """The execution of a mapped task: the whole of its items."""

    __slots__ = ()

    def _begin(self) -> Any:
        """Return a coroutine that makes the items due, for the driver; tell that the task begins.

        Raises:
            CalledOff: The task was cancelled while it was due.
        """
        run: Run = self.run
        assert run.face is not None
        surroundings.set((self, run.face))
        if run.broker.has_listeners:
            run.emit(TASK_BEGIN, self.input_data, self)
        if run.announcement is not None:
            run.has_begun(self)
        if self.cancel_called:
            raise CalledOff
        return self._start()

    async def _start(self) -> dict[str, Any]:
        """Make the items due; return what the task passes on if none is to be run.

        Raises:
            Parked: There are some.
            NoItems: There is no list.
            ExceptionGroup: Too many had gone wrong before.

        Cancellation: this does not wait.
        """
        self._begin_items()
        if not self.work.is_over():
            raise Parked
        problem = self._problem()
        if problem is not None:
            raise problem
        return self._output()

    def _park(self) -> None:
        """Called when the items are due: the driver of this step is needed no more."""
        run = self.run
        self.driver = None
        if run.wholes is None:
            run.wholes = {}
        run.wholes[self] = False
        if run.phase is STOPPING or self.cancel_called or self.interrupted_for is not None:
            # By what was called as it began.
            call_all((self._close, self.end_if_over))
        elif self.template.timeout:
            assert self.started_at is not None
            limit = self.started_at + self.template.timeout
            self.work.call_off = run.backend.alarms.at(limit, self._reach_limit)

    def take_put_off(self) -> None:
        """Called when the next attempt at an item was put off: if this was cut, it never begins."""
        if self.work.is_closed:
            call_all((self._close, self.end_if_over))

    # What cuts it ---------------------------------------------------------------------------------

    def _is_parked(self) -> bool:
        """Return whether this waits for its items, and its end has not begun."""
        wholes = self.run.wholes
        return wholes is not None and wholes.get(self) is False

    def _cut_parked(self, ending: FutureState) -> bool:
        """Cut this step if it waits without a driver; see `StepFuture._cut_parked`."""
        if not self._is_parked():
            return False
        if ending is CANCELLED:
            self.cancel_called = True
        else:
            self.interrupted_for = ending
        call_all((self._close, self.end_if_over, partial(go_on, self.run)))
        return True

    def _reach_limit(self) -> None:
        # The limit of the run came first.
        if not self.run.stop_if_expired() and self.interrupted_for is None:
            self._cut_parked(TIMED_OUT)

    def interrupt(self) -> None:
        """Called when the run is suspended: this is run again when all items have unwound."""
        if self._is_parked() and not self.work.is_closed:
            self.interrupted_for = INTERRUPTED
            self._close()

    def go_on(self) -> None:
        """Called when the run is resumed, if this was not interrupted."""

    # Its end --------------------------------------------------------------------------------------

    def end_if_over(self) -> None:
        """End this if it has nothing to wait for any more."""
        work: Any = self._extras.items  # type: ignore[union-attr]  # it has begun
        if work.open or not self._is_parked():
            return
        run, wholes = self.run, self.run.wholes
        # The limit of the run comes first. This may end with that.
        run.stop_if_expired()
        if not self._is_parked():
            return
        if not work.is_over() and run.phase is not STOPPING:
            # Those that are left are made when the run is resumed.
            return
        if work.call_off is not None:
            work.call_off()
            work.call_off = None
        # From here on nothing cuts this: users' code runs in there, and may try to.
        wholes[self] = True
        try:
            self._end()
        finally:
            # What makes items refers to this.
            work.due = NONE_DUE
            wholes.pop(self, None)

    def _end(self) -> None:
        """End this, also when a predicate or the text of an error ends the program."""
        run = self.run
        try:
            self._settle(run.backend.time())
        except BaseException:
            if self.ended_at is None and self.state is PENDING:
                run.cancel_from_outside()
                self._settle(run.backend.time())
            raise

    def _settle(self, now: float) -> None:
        run, reason, output = self.run, self._reason(now), None
        problem: BaseException | None = None
        if reason is None or self.work.has_failed:
            problem = self._problem()
            if problem is None:
                output, problem = attempt(self._output)
        if reason is TIMED_OUT:
            ending, _ = timed_out(run.plan, self, None, now)
            settle_failure(run, self, ending, beside=(problem,))
        elif problem is not None:
            settle_failure(run, self, failed(self, problem, now))
        elif reason is CANCELLED:
            settle(run, self, cancelled(now))
        elif reason is INTERRUPTED:
            take_interrupted(run, self)
        else:
            settle(run, self, finished(run.plan, self, output, now))

    def _reason(self, now: float) -> FutureState | None:
        """Return what this was cut for, as of a step that has a driver; None if it was not cut."""
        is_late = self._is_late(now)
        if self.run.phase is STOPPING or self.cancel_called:
            return CANCELLED
        if is_late:
            return TIMED_OUT
        if self.work.has_failed:
            return None
        # The limit comes first, also before the last item if that ends at the same instant.
        return TIMED_OUT if self._is_due(now) else self.interrupted_for

    def _is_due(self, now: float) -> bool:
        """Return whether the limit is reached, and nothing has cut this before."""
        limit, begun = self.template.timeout, self.started_at
        if not limit or begun is None or self.interrupted_for is not None:
            return False
        return now >= begun + limit

    def note_end(self) -> None:
        """Called when this is over, before anybody is told: its items are over first."""
        self._end_interrupted()

    def _run_done_callbacks(self) -> None:
        """Called when this is over: tell those that wait for it, or for items of it."""
        self._end_interrupted()
        super()._run_done_callbacks()

    def _end_interrupted(self) -> None:
        """Cancel the items that were interrupted, and that are not run again."""
        work, run = self.work, self.run
        earlier, work.earlier = work.earlier, {}
        if not earlier:
            return
        work.tried.update({place: item._made for place, item in earlier.items() if item._made})
        calls: list[Callable[[], object]] = []
        for item in earlier.values():
            if item.started_at is not None:
                calls.append(partial(end_interrupted, run, item))
            else:
                # It never began, so it has no end to tell.
                item.state = CANCELLED
                calls.append(item._run_done_callbacks)
        call_all(calls)
