"""One execution of one task: what `wf.tasks` holds and `tukio.current_task()` returns.

Owns:   the handle of a step - its ids, times, queue, callbacks - and the start of its coroutine.
Knows:  its run, which alone changes its state.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio

from ..errors import EngineError, RecordedError
from ..event import EventSource
from ..plan import Step
from ..state import FutureState, TaskExecState
from .call import call
from .current import surroundings
from .holder import Recorded, execution_id
from .mailbox import Mailbox
from .snapshot import full_snapshot, snapshot
from .ties import Ties

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator
    from datetime import datetime

    from ..broker import Broker
    from ..event import Event
    from ..ports import Host
    from ..report import StepRecord
    from ..run import Run
    from ..template import TaskTemplate
    from ..workflow import Workflow
    from .inbox import Inbox
    from .parents import Parents

log: logging.Logger = logging.getLogger(__name__)

# Looked up for every step; up to Python 3.11 a member of an enum is worked out each time, and a
# method of what is a module's is bound each time.
PENDING = FutureState.pending
surround: Callable[[tuple[TaskRun, Workflow]], object] = surroundings.set


class TaskRun(Step):
    """One execution of one task, from the moment it is due.

    Made by the engine. It answers like a future, without being tied to a backend.

    Attributes:
        template: The task.
        state: How it stands.
        run: The run it belongs to.
        host: What drives it; None before, and once its coroutine has ended.
        cancel_called: Whether someone asked to cancel it.
        cut: What it is interrupted for, from the moment that is decided; None if it is not.
        holder: The instance of the holder class; None for a plain coroutine function.
    """

    __slots__ = (
        "_ties",
        "cancel_called",
        "cut",
        "holder",
        "host",
    )

    def __init__(
        self,
        run: Run,
        number: int,
        template: TaskTemplate,
        input_data: Any,
        parent: Step | None,
    ) -> None:
        # Written out instead of calling Step.__init__: there is one of these per task.
        self.number: int = number
        self.template: TaskTemplate = template
        self.input_data: Any = input_data
        self.parent: Step | None = parent
        self.state: FutureState = PENDING
        self.output_data: Any = None
        self.late: list[tuple[dict[str, Any], Any]] | tuple[()] = ()
        self.error: BaseException | None = None
        self.chosen: tuple[int, ...] | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.run: Run = run
        self.host: Host | None = None
        self.holder: Any = None
        self.cancel_called: bool = False
        self.cut: FutureState | None = None
        self._ties: Ties | None = None

    @property
    def uid(self) -> str:
        """Id of this execution: the holder's `uid` if it has one."""
        ties = self.ties
        if ties.uid is None:
            ties.uid = execution_id(self.holder)
        return ties.uid

    @property
    def workflow(self) -> Workflow:
        """The workflow it belongs to."""
        workflow = self.run.workflow or self.ties.workflow
        assert workflow is not None, "the run is over, and this was not handed out"
        return workflow

    @property
    def inputs(self) -> Any:
        """A copy of the data it was given."""
        data = self.input_data
        return dict(data) if isinstance(data, dict) else data

    @property
    def outputs(self) -> Any:
        """A copy of the data it returned; None before, and if it returned None."""
        data = self.output_data
        return dict(data) if isinstance(data, dict) else data

    @property
    def queue(self) -> Inbox:
        """Events it receives while it runs."""
        return self.mailbox.queue

    @property
    def broker(self) -> Broker:
        """The broker of its run."""
        return self.run.broker

    @property
    def mailbox(self) -> Mailbox:
        """What it receives while it runs."""
        ties = self.ties
        if ties.mailbox is None:
            ties.mailbox = Mailbox(self)
            if self.state is not FutureState.pending:
                ties.mailbox.close()
        return ties.mailbox

    @property
    def source(self) -> EventSource:
        """The source of the events that it sends."""
        return EventSource(self.run.template.uid, self.run.uid, self.template.uid, self.uid)

    event_source = source

    @property
    def timed_out(self) -> bool:
        """Whether it has reached its time limit; its `teardown()` can see that already."""
        return FutureState.timeout in {self.state, self.cut}

    def in_progress(self) -> bool:
        """Return whether it has started."""
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
        """Return whether it is over."""
        return self.ended_at is not None

    def cancelled(self) -> bool:
        """Return whether it ended by being cancelled."""
        return self.state is FutureState.cancelled

    def result(self) -> Any:
        """Return a copy of its output.

        Raises:
            BaseException: What it raised, if it failed.
            TimeoutError: It reached its time limit.
            EngineError: It is not over, or was cancelled.
        """
        if self.error is not None:
            raise self.error
        if self.state is FutureState.timeout:
            msg = f"task {self.template.uid!r} reached its time limit"
            raise TimeoutError(msg)
        if not self.done() or self.state is FutureState.cancelled:
            msg = f"task {self.template.uid!r} has no result: it is {self.state.value}"
            raise EngineError(msg)
        return self.outputs

    def exception(self) -> BaseException | None:
        """Return what it raised; None if it did not, or is not over."""
        return self.error

    def cancel(self) -> bool:
        """Cancel this task only; its branch of the workflow stops, the others go on.

        Returns:
            Whether it was due or at work.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.run.port.check_here()
        if self.host is not None:
            self.run.interrupt(self.host)
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
        self.run.port.check_here()
        if self.host is None:
            return False
        self.cut = self.cut or FutureState.timeout
        self.run.interrupt(self.host)
        return True

    def add_done_callback(self, callback: Callable[[TaskRun], object]) -> None:
        """Have a function called with this task when it is over; now, if it is."""
        if self.done():
            callback(self)
            return
        self.ties.callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[TaskRun], object]) -> int:
        """Remove a callback wherever it was added, and return how often that was."""
        ties, before = self.ties, self.ties.callbacks
        ties.callbacks = [other for other in before if other != callback]
        return len(before) - len(ties.callbacks)

    # For the task itself ----------------------------------------------------------------------

    def dispatch_progress(self, data: Any, event_type: str | None = None) -> None:
        """Send an execution event of this task.

        Args:
            data: The content, any object.
            event_type: Any word of the user's; None is `task-progress`.
        """
        kind = TaskExecState.PROGRESS.value if event_type is None else event_type
        self.run.tell(kind, data, self)

    async def data_received(self, event: Event) -> None:
        """Put an event into the queue; it does not wait."""
        self.queue.put_nowait(event)

    def parents(self, among: Collection[str] | None = None, *, others: bool = False) -> Parents:
        """Return the parents that led to this task, as an async iterator over their data.

        From now on, late parents do not land in the queue any more.

        Args:
            among: Ids of the parents to wait for; None is all.
            others: Whether others are handed out, too, if they come meanwhile.
        """
        return self.mailbox.parents_of(self, among, others=others)

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Take the data of a late parent."""
        super().receive(data, parent)
        assert isinstance(parent, TaskRun)
        self.mailbox.receive(data, parent)

    def miss(self, number: int) -> None:
        """Learn that a parent will not lead to this task any more."""
        self.mailbox.miss(number)

    def restore(self, known: StepRecord) -> None:
        """Become what a report says of an execution that is over."""
        instant = self.run.port.instant
        self.ties.uid = known.uid
        self.state = known.state
        self.input_data, self.output_data = known.inputs, known.outputs
        self.started_at = None if known.start is None else instant(known.start)
        self.ended_at = None if known.end is None else instant(known.end)
        if known.error is not None:
            self.error = RecordedError(*known.error)
        if "reporting" in known.extra:
            self.holder = Recorded(known.extra["reporting"])

    def now(self) -> datetime:
        """Return the aware UTC time, by the clock that reports are made with."""
        port = self.run.port
        return port.wall_time(port.time())

    # Inside -----------------------------------------------------------------------------------

    @property
    def ties(self) -> Ties:
        """What ties it to those outside its run; it has them from now on."""
        if self._ties is None:
            self._ties = Ties()
        return self._ties

    def hand_out(self, workflow: Workflow) -> TaskRun:
        """Return this for the user to keep: it and those that led to it keep their workflow.

        Otherwise it does not hold the workflow, so that there is no circle of the two which only
        the garbage collector could find.
        """
        step: Any = self
        while step is not None and step.ties.workflow is None:
            step.ties.workflow = workflow
            step = step.parent
        return self

    # For the driver ---------------------------------------------------------------------------

    def begin(self) -> Any:
        """Return the coroutine of the task, for the driver to run; tell that the task begins.

        Runs in the step's own context.

        Raises:
            UnknownTaskName: The task is not registered any more.
            BaseException: What the holder class or the call raised.
        """
        run = self.run
        assert run.workflow is not None
        surround((self, run.workflow))
        try:
            coro = call(self)
        finally:
            if run.broker.heard:
                run.tell(TaskExecState.BEGIN.value, self.input_data, self)
            if run.suspension is not None:
                run.suspension.begun(self)
        topics = self.template.topics
        if topics or topics is None:
            try:
                self.mailbox.subscribe_as(self.template)
            except BaseException:
                # Without this, Python warns that nobody has awaited it.
                coro.close()
                raise
        return coro

    def let_go(self) -> None:
        """Let go of what only a running step needs."""
        self.host = None
        if self._ties is not None and self._ties.mailbox is not None:
            self._ties.mailbox.close()

    def call_back(self) -> None:
        """Call those who wait for its end: it is over."""
        if self._ties is None:
            return
        callbacks, self._ties.callbacks = self._ties.callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("a done callback of task %r failed", self.template.uid)
