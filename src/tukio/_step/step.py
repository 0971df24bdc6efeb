"""One step while it is alive: the fields that a run needs beside those of the plan.

Owns:   the relation of a step to its driver, and the parts that only few steps have.
Knows:  the run, only by the protocol `RunOfStep`.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from .._model.account import RecordedError
from .._model.event import EventSource
from .._model.guard import program_end
from .._model.logs import Log
from .._model.plan import Step
from .._model.state import PENDING
from .holder import Recorded, execution_id
from .log_fields import log_fields
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._events.broker import Broker
    from .._loop.contract import Backend, Driver
    from .._model.facts import StepEnded
    from .._model.state import FutureState
    from .._model.template import WorkflowTemplate

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


class Extras:
    """Optional parts of a step, created on first use; most steps have none.

    Attributes:
        uid: The id of the execution, made on first use; never changed then.
        workflow: The workflow, for user code that keeps only the step; set by `keep_workflow`.
        mailbox: The mailbox of the step, made on first use; never changed then.
        callbacks: Functions that are called with the step when the step is over, in this order.
            Empty from then on.
        replaced_by: The step that runs the task again, if this one was interrupted; else None. Set
            once, by `hand_over`.
        overran: By how many seconds the step ended later than its limit; 0 if it did not.
    """

    __slots__ = ("callbacks", "mailbox", "overran", "replaced_by", "uid", "workflow")

    def __init__(self) -> None:
        self.uid: str | None = None
        self.workflow: Any = None
        self.mailbox: Mailbox | None = None
        self.callbacks: list[Callable[[Any], object]] = []
        self.replaced_by: Any = None
        self.overran: float = 0.0


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

    @property
    def uid(self) -> str:
        """The id of this execution: the `uid` of the holder, or else a new one."""
        extras = self.extras
        if extras.uid is None:
            extras.uid = execution_id(self.holder)
        return extras.uid

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
            extras.mailbox = Mailbox(self)
            if self.state is not PENDING:
                extras.mailbox.close()
        return extras.mailbox

    def keep_workflow(self, workflow: Any) -> Any:
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
        """Called when this step was interrupted, and is run again as a new one.

        Whoever waits for this step waits for the task: they are told when that is over.
        """
        extras = self._extras
        if extras is None:
            # Nobody has got hold of this step.
            return
        extras.replaced_by = new
        if extras.callbacks:
            new.extras.callbacks, extras.callbacks = extras.callbacks, []

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not lead to this step any more."""
        self.mailbox.give_up_on(number)

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
        self.extras.overran = known.overran
        if known.reporting:
            self.holder = Recorded(known.reporting[0])

    # For the run ---------------------------------------------------------------------------------

    def release(self) -> None:
        """Called when the step is over: drop the driver, and close the mailbox."""
        self.driver = None
        if self._extras is not None and self._extras.mailbox is not None:
            self._extras.mailbox.close()

    def run_done_callbacks(self) -> None:
        """Called when the step is over: call the functions that wait for that, once each."""
        if self._extras is None:
            return
        callbacks, self._extras.callbacks = self._extras.callbacks, []
        ends_program: BaseException | None = None
        for callback in callbacks:
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
