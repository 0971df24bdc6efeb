"""One execution of one task, as its user sees it: what `tukio.current_task()` returns.

Owns:   nothing: `LiveStep` has the state; this is its face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from .._model.account import before_looks
from .._model.errors import EngineError
from .._model.event import own_dict
from .._model.state import FutureState, TaskExecState
from .._step.snapshot import full_snapshot, snapshot
from .._step.step import LiveStep
from .calling import begin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from datetime import datetime

    from .._events.queue import Inbox
    from .._model.event import Event
    from .._step.parents import Parents
    from .run import Run
    from .workflow import Workflow


class TaskRun(LiveStep):
    """One execution of one task, from the moment it is due.

    Made by the engine. It answers like a future, without being tied to a backend.
    """

    __slots__ = ()

    run: Run

    @property
    def workflow(self) -> Workflow:
        """The workflow that this step belongs to."""
        workflow: Any = self.run.face or self.extras.workflow
        assert workflow is not None, "the run is over, and this was not handed out"
        return workflow  # type: ignore[no-any-return]  # the face of a run is a Workflow

    @property
    def inputs(self) -> Any:
        """A copy of the data that this step was given."""
        data = self.input_data
        return own_dict(data) if isinstance(data, dict) else data

    @property
    def outputs(self) -> Any:
        """A copy of the data that the task returned; None before, and if it returned None."""
        data = self.output_data
        return own_dict(data) if isinstance(data, dict) else data

    @property
    def queue(self) -> Inbox:
        """The events that this step receives while it runs."""
        return self.mailbox.queue

    @property
    def timed_out(self) -> bool:
        """Whether this step has reached its time limit; its `teardown()` can see that already."""
        return FutureState.timeout in {self.state, self.interrupted_for}

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

        Cancellation: only the waiting ends.
        """
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        if not self.done():
            over = anyio.Event()
            self.add_done_callback(lambda _: over.set())
            await over.wait()
        return self.result()

    def done(self) -> bool:
        """Return whether this step is over."""
        return self.ended_at is not None

    def cancelled(self) -> bool:
        """Return whether this step ended by being cancelled."""
        return self.state is FutureState.cancelled

    def result(self) -> Any:
        """Return a copy of its output.

        Raises:
            BaseException: What it raised, if it failed.
            TimeoutError: It reached its time limit.
            EngineError: It is not over, or was cancelled.
        """
        error = self.error
        if error is not None:
            # Not by its own method, which a user's class may have redefined.
            BaseException.with_traceback(error, before_looks(error, _RESULT, self))
            raise error
        if self.state is FutureState.timeout:
            msg = f"task {self.template.uid!r} reached its time limit"
            raise TimeoutError(msg)
        if not self.done() or self.state is FutureState.cancelled:
            msg = f"task {self.template.uid!r} has no result: it is {self.state.value}"
            raise EngineError(msg)
        return self.outputs

    def exception(self) -> BaseException | None:
        """Return what the task raised; None if it raised nothing, or is not over."""
        return self.error

    def cancel(self) -> bool:
        """Cancel this task only; its branch of the workflow stops, the others go on.

        Returns:
            Whether it was due or at work.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        if self.driver is not None:
            self.run.interrupt(self.driver)
        elif self.started_at is not None or self.state is not FutureState.pending:
            return False
        self.cancel_called = True
        return True

    def timeout(self) -> bool:
        """Cut this task as if it had reached its time limit; its successors run as they do then.

        Returns:
            Whether it was at work.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        if self.driver is None:
            return False
        self.interrupted_for = self.interrupted_for or FutureState.timeout
        self.run.interrupt(self.driver)
        return True

    def add_done_callback(self, callback: Callable[[TaskRun], object]) -> None:
        """Call a function with this task when it is over; at once, if it is over already."""
        if self.done():
            callback(self)
            return
        self.extras.callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[TaskRun], object]) -> int:
        """Remove a callback wherever it was added, and return how often that was."""
        extras, before = self.extras, self.extras.callbacks
        extras.callbacks = [other for other in before if other != callback]
        return len(before) - len(extras.callbacks)

    # For the task itself ----------------------------------------------------------------------

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task.

        Args:
            data: The content, any object.
            event_type: Any word of the user's; None is `task-progress`.
        """
        kind = TaskExecState.PROGRESS.value if event_type is None else event_type
        self.run.emit(kind, data, self)

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue of this step; this never waits."""
        self.queue.put_nowait(event)

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
        backend = self.run.backend
        return backend.wall_time(backend.time())

    # For the driver ---------------------------------------------------------------------------

    # The function itself: one call less for each step. Tests of users may override it.
    begin = begin

    # As in 1.x ------------------------------------------------------------------------------------

    event_source = LiveStep.source


_RESULT: Final = TaskRun.result.__code__
"""Whose frame tells a look at the error of a step from how the error came about."""
