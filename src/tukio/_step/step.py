"""One step while it is alive: the fields that a run needs beside those of the plan.

Owns:   the relation of a step to its driver, and the parts that only few steps have.
Knows:  the run, only by the protocol `RunOfStep`.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .._model.account import RecordedError
from .._model.after_failure import handled_in
from .._model.display import escaped_id
from .._model.event import EventSource
from .._model.guard import program_end
from .._model.logs import Log
from .._model.state import INTERRUPTED, PENDING
from .._model.step import Step
from .._model.task_ends import TaskTimedOut
from .callbacks import Callbacks
from .child import reported
from .extras import Extras
from .holder import Recorded, execution_id
from .log_fields import log_fields
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._events.broker import Broker
    from .._loop.contract import Backend, Driver
    from .._model.facts import StepDue, StepEnded
    from .._model.state import FutureState
    from .._model.template import WorkflowTemplate
    from .callbacks import Function

log: Log = Log("tukio.run")


class RunOfStep(Protocol):
    """The run of a step, as far as the step needs it."""

    @property
    def uid(self) -> str:
        """The execution id of the run."""
        ...

    @property
    def template(self) -> WorkflowTemplate:
        """The template of the run."""
        ...

    @property
    def broker(self) -> Broker:
        """The broker that topics are from."""
        ...

    @property
    def backend(self) -> Backend:
        """The backend, for its clock."""
        ...


class LiveStep(Step):
    """One execution of one task, from the moment when it becomes due.

    A step is *due* until a driver takes it from the ready queue, *at work* until its coroutine has
    ended, and *over* once its outcome is recorded. `started_at` is set exactly when the step stops
    being due, and `ended_at` exactly when the step is over.

    Attributes:
        run: The run that the step belongs to; never changes.
        driver: The driver of the step. Set by the driver as the step begins. None before, and again
            from the moment when the coroutine has ended: during `teardown()` it is None, so that a
            clean-up is never interrupted.
        interrupted_for: The reason why the step is interrupted (`suspended`, `timeout` or
            `cancelled`); None if it is not. Set by the code that interrupts the step, and for good
            by the driver when the step has unwound; never set back to None.
        cancel_called: Whether the cancellation of this step alone was requested. Set by `cancel()`,
            or by the driver for a native cancellation; never set back.
        holder: The instance of the holder class; None for a plain coroutine function, and before
            the call. Set once, by the call.
    """

    __slots__ = (
        "_extras",
        "cancel_called",
        "driver",
        "holder",
        "interrupted_for",
    )

    is_item: ClassVar[bool] = False
    """Whether the step is for one item of a mapped task."""

    def __init__(
        self,
        run: Any,
        number: int,
        template: Any,
        input_data: Any,
        parent: Step | None,
    ) -> None:
        # As Step.__init__, written out instead of called, because one of these runs for each task.
        # A test holds the two equal.
        self.number: int = number
        self.template = template
        self.input_data: Any = input_data
        self.parent: Step | None = parent
        self.state: FutureState = PENDING
        self.output_data: Any = None
        self.late: list[tuple[dict[str, Any], Any]] | tuple[()] = ()
        self.error: BaseException | None = None
        self.chosen: tuple[int, ...] | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.run: Any = run
        self.driver: Driver | None = None
        self.holder: Any = None
        self.cancel_called: bool = False
        self.interrupted_for: FutureState | None = None
        self._extras: Extras | None = None

    @property
    def extras(self) -> Extras:
        """The optional parts of this step, made on first use."""
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    def _call_when_over(self, function: Function) -> None:
        """Call a function with this step when it is over, which it must not be yet."""
        extras = self.extras
        if extras.callbacks is None:
            extras.callbacks = Callbacks()
        extras.callbacks.add(function)

    def _is_at_work(self) -> bool:
        """Return whether this step is not over, and was not interrupted, to be run again."""
        return self.ended_at is None and self.state is not INTERRUPTED

    @property
    def uid(self) -> str:
        """The id of this execution: the `uid` of the holder, or else a new one."""
        extras = self.extras
        if extras.uid is None:
            extras.uid = execution_id(self.holder)
        return extras.uid

    @property
    def _key(self) -> str:
        """What is the same for all executions of this task in this run, and no other."""
        run: RunOfStep = self.run
        return f"{escaped_id(run.uid)}/{escaped_id(self.template.uid)}"

    @property
    def broker(self) -> Broker:
        """The broker of the run."""
        run: RunOfStep = self.run
        return run.broker

    @property
    def source(self) -> EventSource:
        """The source of the events that the step sends."""
        run: RunOfStep = self.run
        return EventSource(run.template.uid, run.uid, self.template.uid, self.uid)

    @property
    def mailbox(self) -> Mailbox:
        """The mailbox of the step, made on first use; closed once the step is over."""
        extras = self.extras
        if extras.mailbox is None:
            run: RunOfStep = self.run
            extras.mailbox = Mailbox(self, run.backend.check_here)
            if self.state is not PENDING:
                extras.mailbox.close()
        return extras.mailbox

    def _keep_workflow(self, workflow: Any) -> Any:
        """Return this step for user code, and keep its workflow alive from now on.

        Steps do not refer to the workflow otherwise, because that would be a reference cycle, which
        only the garbage collector could find. The steps that led to this one keep the workflow,
        too.
        """
        step: Any = self
        while step is not None and step.extras.workflow is None:
            step.extras.workflow = workflow
            step = step.parent
        return self

    # For the plan --------------------------------------------------------------------------------

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Called when a further parent passes data on to this step."""
        super().receive(data, parent)
        self.mailbox.receive(data, parent)

    def hand_over(self, new: Any) -> None:
        """Called when this step is followed by another execution of the same task.

        Whoever waits for this step waits for the task: they are told when that is over.
        """
        extras = self._extras
        if self._retry is not None and self.started_at is not None:
            # The time for all attempts goes on.
            first = None if extras is None else extras.first_at
            new.extras.first_at = self.started_at if first is None else first
        if extras is None:
            # Nobody has got hold of this step.
            return
        extras.replaced_by = new
        if extras.attempts:
            new.extras.attempts, new.extras.first_at = extras.attempts, extras.first_at
        if extras.calls and self.state is INTERRUPTED:
            new.extras.calls = extras.calls.handed_over(new)
        if extras.callbacks is not None or extras.over is not None:
            new.extras.callbacks, extras.callbacks = extras.callbacks, None
            new.extras.over, extras.over = extras.over, None

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not lead to this step any more."""
        if self._extras is not None and self._extras.mailbox is not None:
            self._extras.mailbox.give_up_on(number)

    def restore_earlier(self, known: StepDue) -> None:
        """Set what a fact tells of the executions before this one, and of when this one is due."""
        run: RunOfStep = self.run
        backend, extras = run.backend, self.extras
        extras.attempts = known.attempts
        extras.due = None if known.due is None else backend.instant(known.due)
        if known.attempts or known.due is not None or known.tried:
            # Downtime does not count.
            extras.first_at = backend.time() - known.tried
        extras.child = reported(known.child)

    def restore(self, known: StepEnded) -> None:
        """Set the fields of this step as a fact tells of an execution that is over."""
        run: RunOfStep = self.run
        instant = run.backend.instant
        self.extras.uid = known.uid
        self.state = known.state
        self.input_data, self.output_data = known.inputs[0], known.output
        self.started_at = None if known.start is None else instant(known.start)
        self.ended_at = None if known.end is None else instant(known.end)
        if known.error is not None:
            self.error = RecordedError(*known.error)
        self.extras.overran, self.extras.attempts = known.overran, known.attempts
        if known.handled and isinstance(self.error, RecordedError):
            self.extras.handled = handled_in(self.error, known.task)
        if known.reporting:
            self.holder = Recorded(known.reporting[0])
        self.extras.child = reported(known.child)

    # For the run ---------------------------------------------------------------------------------

    @property
    def _retry(self) -> Mapping[str, Any] | None:
        """Whether and when this step is run again after it has failed, as its template has it."""
        return self.template._retry

    def _is_run_again(self) -> bool:
        """Called when this step was interrupted and has unwound.

        Returns:
            Whether the run runs it again; else somebody else takes care of that.
        """
        return True

    def due_fact(self, fact: StepDue) -> Any:
        """Return the fact that this step is to be run after a failure: the one given, or another.

        Args:
            fact: The fact of a task of the graph.
        """
        return fact

    def note_end(self) -> None:
        """Called when this step is over, before anybody is told."""

    def end_fact(self, ending: Any) -> Any:
        """Return the fact that this item has ended so; None for none, and if this is no item."""
        del ending

    def _is_late(self, now: float) -> bool:
        """Return whether this step has overrun its limit, if its coroutine has ended just now."""
        limit, begun = self.template.timeout, self.started_at
        if not limit or begun is None or now <= begun + limit:
            return False
        self.extras.overran = now - begun - limit
        return True

    def _is_handled(self) -> bool:
        """Return whether this step has failed, and the run goes on from that."""
        return self._extras is not None and self._extras.handled is not None

    def _limit_error(self) -> TaskTimedOut:
        """Return the error that stands for this step's having reached its limit."""
        limit = self.template.timeout or (self._retry or {}).get("within")
        return TaskTimedOut(self.template.uid, limit)

    def _let_go(self) -> None:
        """Called when the step is over: drop what only a running one needs, and tell who waits."""
        try:
            self._release()
        finally:
            self._run_done_callbacks()

    def _end_attempt(self) -> None:
        """Called when the step was tried in vain, and the next attempt was put off."""
        self._release()

    def _release(self) -> None:
        """Called when the step is over: drop the driver, and close the mailbox."""
        self.driver = None
        if self._extras is not None and self._extras.mailbox is not None:
            self._extras.mailbox.close()
        if self._extras is not None and self._extras.calls and self.state is not INTERRUPTED:
            self._extras.calls.drop()

    def _run_done_callbacks(self) -> None:
        """Called when the step is over: tell those that wait for that, once each."""
        if self._extras is None:
            return
        over, self._extras.over = self._extras.over, None
        if over is not None:
            over.set()
        callbacks, self._extras.callbacks = self._extras.callbacks, None
        ends_program: BaseException | None = None
        for callback in () if callbacks is None else callbacks.take():
            try:
                # In a context of its own: what a callback sets there reaches no step.
                copy_context().run(callback, self)
            except BaseException as exc:  # noqa: ASYNC103 - nobody can cancel what does not await
                ending = program_end(exc)
                if ending is not None:
                    # Raised on when all were called.
                    ends_program = ending
                if ending is not exc:
                    # The callback may have met the cancellation of something else.
                    uid, extra = self.template.uid, log_fields(self.run, self)
                    log.exception("a done callback of task '%s' failed", uid, extra=extra)
        if ends_program is not None:
            raise ends_program
