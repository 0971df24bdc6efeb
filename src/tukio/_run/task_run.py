"""One execution of one task, as its user sees it: what `tukio.current_task()` returns.

Owns:   nothing: `LiveStep` has the state; this is its face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from .._model.account import before_looks
from .._model.errors import EngineError
from .._model.event import own_data
from .._model.logs import Log
from .._model.state import (
    CANCELLED,
    INTERRUPTED,
    OVER,
    PENDING,
    TIMED_OUT,
    TaskExecState,
)
from .._step.log_fields import log_fields
from .._step.snapshot import full_snapshot, snapshot
from .._step.step import LiveStep
from .calling import begin
from .outcome import cancelled
from .settling import settle
from .suspending import take_back

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from datetime import datetime

    from .._events.queue import Inbox
    from .._loop.contract import Backend
    from .._model.event import Event, EventSource
    from .._step.parents import Parents
    from .workflow import Workflow

log: Log = Log("tukio.run")


class TaskRun(LiveStep):
    """One execution of one task, from the moment it is due.

    Made by the engine. It answers like a future, without being tied to a backend.
    """

    __slots__ = ()

    @property
    def workflow(self) -> Workflow:
        """The workflow that this step belongs to."""
        workflow: Any = self.run.face or self.extras.workflow
        assert workflow is not None, "the run is over, and this was not handed out"
        return workflow  # type: ignore[no-any-return]  # the face of a run is a Workflow

    @property
    def inputs(self) -> Any:
        """A copy of the data that this step was given."""
        return own_data(self.input_data)

    @property
    def outputs(self) -> Any:
        """A copy of the data that the task returned; None before, and if it returned None."""
        return own_data(self.output_data)

    @property
    def queue(self) -> Inbox:
        """The events that this step receives while it runs."""
        return self.mailbox.queue

    @property
    def timed_out(self) -> bool:
        """Whether this step has reached its time limit; its `teardown()` can see that already."""
        return TIMED_OUT in {self.state, self.interrupted_for}

    def in_progress(self) -> bool:
        """Return whether this step has started."""
        return self.started_at is not None

    def as_dict(self) -> dict[str, Any]:
        """Return a snapshot: id, start, end (aware UTC or None), state, inputs, outputs."""
        return snapshot(self)

    def report(self) -> dict[str, Any]:
        """Return a snapshot as a workflow's report shows it.

        Beside `as_dict`: `reporting`, what the holder's `report()` returns (None if it fails,
        which is logged); `error`, type and message, if there is one, the reason of a skip also;
        `chosen`, the ids of the successors it chose, if it did.
        """
        return full_snapshot(self)

    def __repr__(self) -> str:
        return f"<TaskRun {self.template.uid} ({self.template.name}) {self.state.value}>"

    # As a future -----------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait until it is over, and return a copy of its output or raise, as `result()`.

        Raises:
            EngineError: It is not over, and runs in another event loop or thread.

        Cancellation: only the waiting ends.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        if self.done():
            await self.run.backend.checkpoint()
        else:
            self.run.backend.check_here()
            over = anyio.Event()
            self.add_done_callback(lambda _: over.set())
            await over.wait()
        return self.result()

    # What these say is true of the task, however often it is begun: a step that was interrupted is
    # over when the step that runs it again is.

    @property
    def _latest(self) -> TaskRun:
        step = self
        while step._extras is not None and step._extras.replaced_by is not None:
            step = step._extras.replaced_by
        return step

    def done(self) -> bool:
        """Return whether this task is over, or will never begin."""
        state = self._latest.state
        return state is not PENDING and state is not INTERRUPTED

    def cancelled(self) -> bool:
        """Return whether this task ended by being cancelled, or was cancelled before it began."""
        return self._latest.state is CANCELLED

    def result(self) -> Any:
        """Return a copy of its output.

        Raises:
            BaseException: What it raised, if it failed.
            TimeoutError: It reached its time limit.
            EngineError: It is not over, or was cancelled.
        """
        step = self._latest
        error = step.error
        if error is not None:
            # Not by its own method, which a user's class may have redefined.
            BaseException.with_traceback(error, before_looks(error, _RESULT, self))
            context = error.__context__
            try:
                raise error
            finally:
                # Not what was being handled by whoever looks at it.
                error.__context__ = context
        if step.state is TIMED_OUT:
            msg = f"task {step.template.uid!r} reached its time limit"
            raise TimeoutError(msg)
        if not step.done() or step.state is CANCELLED:
            msg = f"task {step.template.uid!r} has no result: it is {step.state.value}"
            raise EngineError(msg)
        return step.outputs

    def exception(self) -> BaseException | None:
        """Return what the task raised; None if it raised nothing, or is not over."""
        return self._latest.error

    def cancel(self) -> bool:
        """Cancel this task only; its branch of the workflow stops, the others go on.

        Returns:
            Whether it was due, at work, or to be run again.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        step = self._latest
        if step.driver is not None:
            step.run.interrupt(step.driver)
        elif take_back(step.run, step):
            settle(step.run, step, cancelled(step.run.backend.time()))
        elif step.started_at is not None or step.state is not PENDING:
            return False
        step.cancel_called = True
        return True

    def timeout(self) -> bool:
        """Cut this task as if it had reached its time limit; its successors run as they do then.

        Returns:
            Whether it was at work; False if it is to be run again: its limit does not count then.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        step = self._latest
        if step.driver is None or step.interrupted_for is INTERRUPTED:
            return False
        step.interrupted_for = TIMED_OUT
        step.run.interrupt(step.driver)
        return True

    def add_done_callback(self, callback: Callable[[TaskRun], object]) -> None:
        """Call a function with this task when it is over; at once, if it is over already."""
        if self.done():
            callback(self)
            return
        self._latest.extras.callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[TaskRun], object]) -> int:
        """Remove a callback wherever it was added, and return how often that was."""
        extras = self._latest.extras
        before = extras.callbacks
        extras.callbacks = [other for other in before if other != callback]
        return len(before) - len(extras.callbacks)

    # For the task itself ----------------------------------------------------------------------

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task; none, but a warning in the log, if the run is over.

        Args:
            data: The content, any object.
            event_type: Any word of the user's; None is `task-progress`.
        """
        kind = TaskExecState.PROGRESS.value if event_type is None else event_type
        if self.run.phase is OVER:
            # The terminal event is the last one.
            extra = log_fields(self.run, self)
            log.warning("task '%s' tells of a run that is over", self.template.uid, extra=extra)
            return
        self.run.emit(kind, data, self)

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue of this step; this never waits.

        Cancellation: the event was not put there.
        """
        await self.queue.put(event)

    def parents(self, among: Collection[str] | None = None, *, others: bool = False) -> Parents:
        """Return the parents that led to this task, as an async iterator over their data.

        From now on, late parents do not land in the queue any more.

        Args:
            among: Ids of the parents to wait for; None is all.
            others: Whether others are handed out, too, if they come meanwhile.
        """
        # What comes of it depends on the order.
        self.run.keep_order()
        return self.mailbox.parents_of(self, among, others=others)

    def now(self) -> datetime:
        """Return the aware UTC time, by the clock that reports are made with."""
        backend: Backend = self.run.backend
        return backend.wall_time(backend.time())

    # For the driver ---------------------------------------------------------------------------

    # The function itself: one call less for each step. Tests of users may override it.
    begin = begin

    # As in 1.x ------------------------------------------------------------------------------------

    @property
    def event_source(self) -> EventSource:
        """The source of the events that the task sends, as `source`."""
        return self.source


_RESULT: Final = TaskRun.result.__code__
"""Whose frame tells a look at the error of a step from how the error came about."""
