"""The state of one run: each field, what is always true of it, and who may change it.

Owns:   nothing; `Run` changes this.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

import anyio

from .._events.taps import tell_all
from .._model.event import EventSource
from .._model.gathering import GatheringPlan
from .._model.guard import exceptions_in
from .._model.logs import Log
from .._model.plan import Plan
from .._model.policy import OverrunPolicy
from .._model.shape import shape_of
from .._model.state import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    NEW,
    OVER,
    PENDING,
    SUSPENDED,
    TIMED_OUT,
    TaskExecState,
    WorkflowExecState,
)
from .._model.task_ends import more_than_once
from .._step.log_fields import log_fields
from .ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from datetime import datetime

    from .._events.broker import Broker
    from .._loop.contract import Backend, Driver
    from .._model.facts import Fact
    from .._model.plan import Make
    from .._model.state import FutureState, Phase
    from .._model.template import WorkflowTemplate
    from .._step.step import LiveStep
    from .announcement import Announcement
    from .environment import Environment
    from .waiting import Waiting

log: Log = Log("tukio.run")

# Looked up for every run; up to Python 3.11 a member of an enum is worked out each time.
LOCKED_FROM_THE_START = OverrunPolicy.SKIP_UNTIL_UNLOCK

BEGINS: Final = {WorkflowExecState.BEGIN.value, TaskExecState.BEGIN.value}
"""The events that tell of an instant that is over when they are made."""

NO_ERRORS: Final[dict[str, BaseException]] = {}
"""The errors of all runs without errors; never changed."""


class Face(Protocol):
    """What users hold of a run."""

    @property
    def status(self) -> str:
        """How the run stands, in one word."""
        ...

    def _resolved(self, ending: FutureState, failure: Exception | None) -> None:
        """Called once, when the run is over and its subscribers were told."""
        ...


class RunState:
    """The state of one run.

    Only the methods of `Run` and the functions of `suspending` and `restoring` change it, but for
    `locked`, which users set to False by `unlock`.

    Args:
        face: What users hold of the run.
        template: What to run.
        environment: What the run shares with others of its engine.

    Raises:
        WorkflowRootTaskError: The template does not have exactly one root task.

    Attributes:
        face: The face; None exactly when the run is over.
        template: The template as it was when the run was made; nobody changes it.
        plan: Its steps; empty when the run is over. `plan.ready` is empty unless the run is
            running, suspended or closing.
        phase: Where it stands; changed by the table of moves alone.
        ending: How it ended, or is about to; None exactly while nobody has asked it to stop, and it
            is neither closing nor over.
        failure: What the run itself failed with; None if it did not.
        errors: Task id -> what that task raised; changed by `keep_error` alone.
        limit: When it reaches the limit of its template, on the clock of the backend; inf for
            never.
        deadline: When it is cancelled, for its limit, its appointment, or `stop_at`; at most
            `limit`. Once it is closing, when that must be over.
        locked: Whether it keeps data from starting another run (`skip-until-unlock`). Once False,
            it stays so.
        drivers: The drivers that have begun and not left, in the order they began.
        driver_pending: Whether a driver was spawned that has not begun: it will take what is
            ready. There is at most one such.
        waiting: What the run waits for without a driver; None if it never did, and when over.
        wholes: The steps of mapped tasks that wait for their items, in that order, each with
            whether its end has begun; None if there never was one. Only `whole` changes it, and
            `salvage`.
        announcement: The event of a resume or a rescue that is still to come; None if there is
            none.
        reason: Why it was cancelled, for people; None if nobody said.
        told: The number of the execution event that was made last. It only grows.
        ledger: What is kept of what happened, in order; None if nobody needs that.
        context: What the context of each step is a copy of: that of whoever has asked for the run.
            None when over, and before the start unless it has to wait for its turn.
        started_at: When it started, on the clock of the backend; None before.
        ended_at: When it ended, likewise.
        when_over: Called once, after the terminal event.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_deadline_means",
        "_end_event",
        "_given",
        "_trigger",
        "_uid",
        "announcement",
        "backend",
        "broker",
        "context",
        "deadline",
        "driver_pending",
        "drivers",
        "ended_at",
        "ending",
        "environment",
        "errors",
        "face",
        "failure",
        "ledger",
        "limit",
        "locked",
        "phase",
        "plan",
        "reason",
        "started_at",
        "template",
        "told",
        "waiting",
        "when_over",
        "wholes",
    )

    deadline: float
    limit: float
    started_at: float | None
    wholes: dict[Any, bool] | None
    ended_at: float | None
    # The event that the run was started with; None before, and when over.
    _trigger: Any
    # What the data of that was like at the start, likewise; None unless the caller has given an id.
    _given: Any

    def __init__(self, face: Face, template: WorkflowTemplate, environment: Environment) -> None:
        self.face: Face | None = face
        shape = shape_of(template)
        self.template: WorkflowTemplate = shape.template
        self.environment: Environment = environment
        # Looked up for every step.
        self.backend: Backend = environment.backend
        self.broker: Broker = environment.broker
        # As `plan_for`, whose call would be half of this for most runs.
        kind: type[Plan[LiveStep]] = GatheringPlan if shape.joins else Plan
        make: Make[Any] = environment.kinds.maker(shape) if shape.kinds else environment.make_step
        self.plan: Plan[LiveStep] = kind(shape, make, self)
        self.phase: Phase = NEW
        self.ending: FutureState | None = None
        self.failure: Exception | None = None
        self.errors: dict[str, BaseException] = NO_ERRORS
        self.deadline = self.limit = math.inf
        self.locked: bool = self.template.policy is LOCKED_FROM_THE_START
        self.drivers: dict[Driver, None] = {}
        self.driver_pending: bool = False
        self.waiting: Waiting | None = None
        self.announcement: Announcement | None = None
        self.ledger: Ledger | None = Ledger() if shape.keeps_order else None
        self.context: Context | None = None
        self.reason: str | None = None
        self.told: int = 0
        self.when_over: Callable[[Any], None] | None = None
        self.started_at = self.ended_at = self.wholes = None
        self._uid: str | None = None
        self._trigger = self._given = None
        # Whether the begin of the run was told, or need not be.
        self._begun: bool = False
        # How the run ends when its deadline is reached.
        self._deadline_means: FutureState = TIMED_OUT
        self._end_event: anyio.Event | None = None

    @property
    def uid(self) -> str:
        """Id of this execution; made up when first looked at."""
        if self._uid is None:
            self._uid = str(uuid4())
        return self._uid

    @property
    def source(self) -> EventSource:
        """The source of the events of the run itself."""
        return EventSource(self.template.uid, self.uid)

    @property
    def state(self) -> FutureState:
        """How it stands, as users see it."""
        if self.phase is SUSPENDED:
            return INTERRUPTED
        if self.phase is OVER and self.ending is not None:
            return self.ending
        return PENDING

    @property
    def appointment(self) -> datetime | None:
        """When it ends at the latest, as its start has said, aware UTC; None if it did not."""
        return None if self.ledger is None else self.ledger.appointment

    @property
    def has_begun_itself(self) -> bool:
        """Whether its begin was told, or need not be."""
        return self._begun

    def note_reason(self, reason: str | None) -> None:
        """Take note why it is about to be cancelled; of several reasons, the first counts."""
        if self.reason is None and self.ending is None:
            self.reason = reason

    def is_empty(self) -> bool:
        """Return whether nothing of the run is at work, and nothing is due."""
        return not (self.drivers or self.driver_pending or self.waiting or self.wholes)

    def keep_error(self, uid: str, error: BaseException) -> None:
        """Keep an error of a task; a second one of the same task beside the first."""
        if self.errors is NO_ERRORS:
            self.errors = {}
        earlier = self.errors.get(uid)
        if earlier is not None:
            message = more_than_once(uid)
            # All in one group, however many there are.
            is_ours = isinstance(earlier, BaseExceptionGroup) and earlier.message == message
            before = exceptions_in(earlier) if is_ours else (earlier,)
            error = BaseExceptionGroup(message, [*before, error])
        self.errors[uid] = error

    def keep_order(self) -> Ledger:
        """Keep the order of ends from now on; that of those before is told by their instants."""
        if self.ledger is None:
            self.ledger = Ledger()
            over = [
                (step.ended_at, step.started_at or step.ended_at, number)
                for number, step in enumerate(self.plan.steps)
                if step is not None and step.ended_at is not None
            ]
            self.ledger.order = [number for *_, number in sorted(over)]
        return self.ledger

    def end_event(self) -> anyio.Event:
        """Return what is set when the run is over."""
        if self._end_event is None:
            self._end_event = anyio.Event()
        return self._end_event

    # What others learn -------------------------------------------------------------------------

    @property
    def keeps_facts(self) -> bool:
        """Whether anybody keeps the facts of this run; else those with an id need not be made."""
        return self.ledger is not None and self.ledger.keep is not None

    def keep_fact(self, fact: Fact) -> None:
        """Keep a fact, if anybody keeps the facts of this run."""
        if self.ledger is not None:
            self.ledger.keep_fact(fact)

    def emit(self, kind: str, content: Any, step: LiveStep | None = None) -> None:
        """Send an execution event of the run, or of one of its tasks."""
        if not self.broker.has_listeners:
            return
        self.told += 1
        moment = (self.told, self._instant_of(kind, step or self), self.backend.wall_time)
        try:
            try:
                if self.broker.taps:
                    self._tap(kind, content, step)
            finally:
                # Also when a tap has ended the program: the others are told all the same. With taps
                # alone, nobody needs an event, or even the id of the run.
                if self.broker._exec_topics:
                    self.broker.emit_exec_event(kind, content, self.uid, step or self, moment)
        except Exception:
            # Only what users hand in can fail here: a kind of dict that cannot be copied, an id.
            log.exception("event '%s' of a run was not told", kind, extra=log_fields(self, step))

    def _instant_of(self, kind: str, teller: RunState | LiveStep) -> float:
        """Return when that happened which an event of a run or of a step tells of."""
        if kind in BEGINS and teller.started_at is not None:
            return teller.started_at
        return self.backend.time() if teller.ended_at is None else teller.ended_at

    def _tap(self, kind: str, content: Any, step: LiveStep | None) -> None:
        task = None if step is None else step._keep_workflow(self.face)
        tell_all(iter(tuple(self.broker.taps)), kind, self.face, task, content)

    def terminal(self, ending: FutureState) -> tuple[WorkflowExecState, Any]:
        """Return the type and the content of the terminal event of the run."""
        if ending is FAILED:
            return WorkflowExecState.ERROR, self.failure
        if ending is FINISHED:
            return WorkflowExecState.END, None
        content: dict[str, Any] = {"cancel": True}
        if ending is TIMED_OUT:
            content["timeout"] = True
        elif self.reason is not None:
            content["reason"] = self.reason
        return WorkflowExecState.END, content

    def emit_the_end(self, ending: FutureState) -> None:
        """Send the terminal event of the run."""
        kind, content = self.terminal(ending)
        self.emit(kind.value, content)
