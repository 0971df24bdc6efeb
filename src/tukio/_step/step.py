"""One step while it is alive: what the machinery of a run keeps of it beside its plan.

Owns:   how a step stands with its driver, and the parts of it that few steps have.
Knows:  its run only by what a step asks of it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from .._model.errors import RecordedError
from .._model.event import EventSource
from .._model.plan import Step
from .._model.state import PENDING
from .holder import Recorded, execution_id
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._events.broker import Broker
    from .._loop.contract import Backend, Driver
    from .._model.facts import StepEnded
    from .._model.state import FutureState
    from .._model.template import WorkflowTemplate

log: logging.Logger = logging.getLogger("tukio.run")


class RunOfStep(Protocol):
    """What a step asks of its run."""

    @property
    def uid(self) -> str:
        """Its id."""
        ...

    @property
    def template(self) -> WorkflowTemplate:
        """What is run."""
        ...

    @property
    def broker(self) -> Broker:
        """Where the events of topics come from."""
        ...

    @property
    def backend(self) -> Backend:
        """The backend, for its clock."""
        ...


class Extras:
    """Optional parts of a step, created on first use; most steps have none.

    Attributes:
        uid: Id of the execution; None as long as nobody has asked for it.
        workflow: The workflow, for user code that keeps only the step; see `keep_workflow`.
        mailbox: What the step receives while it runs; None if it never asked.
        callbacks: What is called with the step when it is over, in order.
    """

    __slots__ = ("callbacks", "mailbox", "uid", "workflow")

    def __init__(self) -> None:
        self.uid: str | None = None
        self.workflow: Any = None
        self.mailbox: Mailbox | None = None
        self.callbacks: list[Callable[[Any], object]] = []


class LiveStep(Step):
    """One execution of one task, from the moment it is due.

    A step is *due* until a driver takes it from the ready queue, *at work* until its coroutine has
    ended, and *over* when it is settled. `started_at` is set exactly when it stops being due, and
    `ended_at` exactly when it is over.

    Attributes:
        run: The run it belongs to; never changes.
        driver: The driver that drives it. Set by the driver as the step begins; None before, and
            again from the moment its coroutine has ended: while `teardown()` runs it is None, so
            nobody interrupts a clean-up.
        interrupted_for: What the step is interrupted for (`suspended`, `timeout` or `cancelled`);
            None if it is not. Set by whoever interrupts it, and for good by the driver when the
            step has unwound; never set back to None.
        cancel_called: Whether somebody asked to cancel this step alone. Set by `cancel()`, or by
            the driver for a native cancellation; never set back.
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
        # As Step.__init__, written out instead of called: there is one of these per task. A test
        # holds the two equal.
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
        """The optional parts of this step; it has them from now on."""
        if self._extras is None:
            self._extras = Extras()
        return self._extras

    @property
    def uid(self) -> str:
        """Id of this execution: the holder's `uid` if it has one."""
        extras = self.extras
        if extras.uid is None:
            extras.uid = execution_id(self.holder)
        return extras.uid

    @property
    def broker(self) -> Broker:
        """The broker of its run."""
        run: RunOfStep = self.run
        return run.broker

    @property
    def source(self) -> EventSource:
        """The source of the events that it sends."""
        run: RunOfStep = self.run
        return EventSource(run.template.uid, run.uid, self.template.uid, self.uid)

    @property
    def mailbox(self) -> Mailbox:
        """What it receives while it runs."""
        extras = self.extras
        if extras.mailbox is None:
            extras.mailbox = Mailbox(self)
            if self.state is not PENDING:
                extras.mailbox.close()
        return extras.mailbox

    def keep_workflow(self, workflow: Any) -> Any:
        """Return this step for user code, and keep its workflow alive from now on.

        Steps do not refer to it otherwise: that would be a reference cycle, which only the garbage
        collector could find. Those that led to this step keep it, too.
        """
        step: Any = self
        while step is not None and step.extras.workflow is None:
            step.extras.workflow = workflow
            step = step.parent
        return self

    # For the plan --------------------------------------------------------------------------------

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Take the data of a late parent."""
        super().receive(data, parent)
        self.mailbox.receive(data, parent)

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not lead to this step any more."""
        self.mailbox.give_up_on(number)

    def restore(self, known: StepEnded) -> None:
        """Become what a fact says of an execution that is over."""
        run: RunOfStep = self.run
        instant = run.backend.instant
        self.extras.uid = known.uid
        self.state = known.state
        self.input_data, self.output_data = known.inputs[0], known.output
        self.started_at = None if known.start is None else instant(known.start)
        self.ended_at = None if known.end is None else instant(known.end)
        if known.error is not None:
            self.error = RecordedError(*known.error)
        if known.reporting:
            self.holder = Recorded(known.reporting[0])

    # For the run ---------------------------------------------------------------------------------

    def release(self) -> None:
        """Let go of what only a running step needs."""
        self.driver = None
        if self._extras is not None and self._extras.mailbox is not None:
            self._extras.mailbox.close()

    def run_done_callbacks(self) -> None:
        """Call those who wait for the end of this step: it is over."""
        if self._extras is None:
            return
        callbacks, self._extras.callbacks = self._extras.callbacks, []
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("a done callback of task %r failed", self.template.uid)
