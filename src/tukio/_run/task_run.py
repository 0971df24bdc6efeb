"""One execution of one task, as its user sees it: what `tukio.current_task()` returns.

Owns:   nothing: `LiveStep` has the state; this is its face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._model.account import RecordedError
from .._model.event import own_data
from .._model.logs import Log
from .._model.state import (
    OVER,
    TIMED_OUT,
    TaskExecState,
)
from .._model.task_ends import TaskTimedOut
from .._step.log_fields import log_fields
from .._step.snapshot import full_snapshot, snapshot
from .appointment import deadline_of
from .calling import begin
from .step_future import StepFuture

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from .._events.queue import Inbox
    from .._loop.contract import Backend
    from .._model.attempts import Attempt
    from .._model.event import Event, EventSource
    from .._step.parents import Parents
    from .workflow import Workflow

log: Log = Log("tukio.run")


class TaskRun(StepFuture):
    """One execution of one task, from the moment it is due.

    Made by the engine. It answers like a future, without being tied to a backend.

    Of what it inherits, `template`, `state`, `uid`, `source` and `broker` are for users; everything
    else there is the engine's, and may change with every release.
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
    def attempt(self) -> int:
        """The number of this execution of the task, from 1 on; see `Retry`.

        One that is run again after a suspension, or after the end of its engine, has the number of
        the one that was interrupted: only those that have failed count.
        """
        return len(self._made) + 1

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """The executions before this one that have failed: start, end, error and delay of each."""
        return [one.as_dict() for one in self._made]

    @property
    def index(self) -> int | None:
        """The place of the item that this is for in its list, from 0 on; None if it is no item."""
        return None

    @property
    def key(self) -> str:
        """What to hand to others so that they do a thing once: `run id/task id`, `[3]` of an item.

        It is the same for all attempts, after a suspension, and after a rescue. In both ids `/`,
        `[` and `%` are written as %2F, %5B and %25.
        """
        return self._key

    @property
    def deadline(self) -> datetime | None:
        """When this step is cut at the latest, aware UTC; None if nothing is to cut it.

        The earliest of the limits of the task, of all its attempts and of the run, of the deadline
        that the start of the run has said, and of the end of a stop's grace. That of a task that
        has not begun is that of its run.
        """
        return deadline_of(self)

    @property
    def undoes(self) -> TaskRun | None:
        """The execution that this one undoes, for the task of a `compensate`; else None."""
        return None

    @property
    def _made(self) -> tuple[Attempt, ...]:
        return () if self._extras is None else self._extras.attempts

    @property
    def timed_out(self) -> bool:
        """Whether this step has reached its time limit; its `teardown()` can see that already."""
        if TIMED_OUT in {self.state, self.interrupted_for}:
            return True
        # Of a step that was over before its run was rescued, the report has no more than this.
        error = self.error
        return isinstance(error, RecordedError) and error.kind == TaskTimedOut.__name__

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

    # For the task itself ----------------------------------------------------------------------

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task; none, but a warning in the log, if the run is over.

        Args:
            data: The content, any object.
            event_type: Any word of the user's; None is `task-progress`.

        Raises:
            EngineError: Called from another event loop or thread. Nothing is sent.
        """
        kind = TaskExecState.PROGRESS.value if event_type is None else event_type
        if self.run.phase is OVER:
            # The terminal event is the last one.
            extra = log_fields(self.run, self)
            log.warning("task '%s' tells of a run that is over", self.template.uid, extra=extra)
            return
        self.run.backend.check_here()
        if event_type is None:
            # For those who begin to look at the run later.
            self.extras.progress = (self.run.backend.time(), own_data(data))
        self.run.emit(kind, data, self)

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue of this step; this never waits.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.

        Cancellation: the event was not put there.
        """
        await self.queue.put(event)

    def parents(self, among: Collection[str] | None = None, *, others: bool = False) -> Parents:
        """Return the parents that led to this task, as an async iterator over their data.

        From now on, late parents do not land in the queue any more.

        Args:
            among: Ids of the parents to wait for; None is all.
            others: Whether others are handed out, too, if they come meanwhile.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.backend.check_here()
        # What comes of it depends on the order.
        self.run.keep_order()
        return self.mailbox.parents_of(self, among, others=others)

    def now(self) -> datetime:
        """Return the aware UTC time, by the clock that reports are made with."""
        backend: Backend = self.run.backend
        return backend.wall_time(backend.time())

    # For the driver ---------------------------------------------------------------------------

    # The function itself: one call less for each step. Tests of users may override it.
    _begin = begin

    # As in 1.x ------------------------------------------------------------------------------------

    @property
    def event_source(self) -> EventSource:
        """The source of the events that the task sends, as `source`."""
        return self.source
