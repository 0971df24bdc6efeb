"""One run: its phase, its hosts and limits, and its one end.

Owns:   all state of a run that changes, and when it starts, is suspended, stops and ends; all
        decided without awaiting.
Knows:  the plan, which says what comes next; the port, which spawns hosts; nothing of how a host
        waits - that is the driver's.
"""

from __future__ import annotations

import logging
import math
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio

from .errors import WorkflowFailed, as_exception
from .event import Event, EventSource
from .plan import Plan, shape_of
from .policy import ErrorPolicy, OverrunPolicy
from .report import restore
from .state import FutureState, Move, Phase, WorkflowExecState, after
from .suspension import Suspension
from .task.run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from .broker import Broker
    from .ports import Host, Port
    from .report import RunRecord
    from .template import WorkflowTemplate
    from .workflow import Workflow

log: logging.Logger = logging.getLogger(__name__)

CLEANUP_TIMEOUT = 5.0
"""Seconds that a task's `teardown()` may take, unless the engine is told otherwise."""

# Looked up for every run or step; up to Python 3.11 a member of an enum is worked out each time.
WAITING, RUNNING, SUSPENDED, OVER = Phase.WAITING, Phase.RUNNING, Phase.SUSPENDED, Phase.OVER
START, END = Move.START, Move.END
FINISHED, FAILED, TIMEOUT = FutureState.finished, FutureState.exception, FutureState.timeout
LOCKED_FROM_THE_START = OverrunPolicy.SKIP_UNTIL_UNLOCK


class Run:
    """The state of one run.

    Args:
        workflow: The face of the run that users hold.
        template: What to run.
        port: The backend.
        broker: Where execution events go.
        cleanup_timeout: Seconds that a `teardown()` may take.

    Raises:
        WorkflowRootTaskError: The template does not have exactly one root task.

    Attributes:
        workflow: The face; None when it is over.
        plan: Its steps; empty when it is over.
        phase: Where it stands.
        ending: How it ended, or is about to; None while it goes on.
        failure: What the run itself failed with; None if it did not.
        errors: Task id -> what that task raised.
        limit: When it reaches the limit of its template, on the port's clock; inf for never.
        deadline: When it is cancelled, for its limit or for `stop_at`; likewise.
        locked: Whether it keeps data from starting another run (`skip-until-unlock`).
        hosts: The hosts that are at work, in the order they began.
        coming: Whether a host was spawned that has not begun: it will take what is ready.
        suspension: What is to be done again; None if it was never suspended nor rescued.
        context: What the context of each step is a copy of.
        when_over: Called once, after the terminal event.
    """

    __slots__ = (
        "__weakref__",
        "_begun",
        "_deadline_means",
        "_end_event",
        "_trigger",
        "_uid",
        "broker",
        "cleanup_timeout",
        "coming",
        "context",
        "deadline",
        "ended_at",
        "ending",
        "errors",
        "failure",
        "hosts",
        "limit",
        "locked",
        "phase",
        "plan",
        "port",
        "started_at",
        "suspension",
        "template",
        "when_over",
        "workflow",
    )

    def __init__(
        self,
        workflow: Workflow,
        template: WorkflowTemplate,
        port: Port,
        *,
        broker: Broker,
        cleanup_timeout: float,
    ) -> None:
        self.workflow: Workflow | None = workflow
        self.template: WorkflowTemplate = template
        self.port: Port = port
        self.broker: Broker = broker
        self.cleanup_timeout: float = cleanup_timeout
        self.plan: Plan[TaskRun] = Plan(shape_of(template), TaskRun, self)
        self.phase: Phase = WAITING
        self.ending: FutureState | None = None
        self.failure: Exception | None = None
        self.errors: dict[str, BaseException] = {}
        self.deadline: float = math.inf
        self.limit: float = math.inf
        self.locked: bool = template.policy is LOCKED_FROM_THE_START
        self.hosts: dict[Host, None] = {}
        self.coming: bool = False
        self.suspension: Suspension | None = None
        self.context: Context | None = None
        self.when_over: Callable[[Run], None] | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self._uid: str | None = None
        self._trigger: Any = None
        self._begun: bool = False
        self._deadline_means: FutureState = TIMEOUT
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
            return FutureState.suspended
        if self.phase is OVER and self.ending is not None:
            return self.ending
        return FutureState.pending

    # Its start and its end ---------------------------------------------------------------------

    def start(self, trigger: Any) -> TaskRun:
        """Start the run: its root task begins in the next turn of the event loop.

        Args:
            trigger: The event to start with, the run's own; else what the root task is given.

        Returns:
            The execution of the root task.

        Raises:
            IllegalMove: It was started, or cancelled, before.
        """
        now = self.port.time()
        # Before the move: the template may have been spoilt since it was validated.
        limit = now + self.template.timeout if self.template.timeout else math.inf
        self.phase = after(self.phase, START)
        self._trigger = trigger
        self.context = copy_context()
        self.started_at = now
        self.limit = limit
        if limit < math.inf:
            self._end_by(limit, TIMEOUT)
        root = self.plan.begin(trigger.data if isinstance(trigger, Event) else trigger)
        self.coming = True
        self.port.launch(self)
        return root

    def restore(self, record: RunRecord) -> None:
        """Bring the run to where a report says that it was; `go_on` starts it.

        Raises:
            IllegalMove: It was started, or cancelled, before. Nothing changes.
            RescueError: The report contradicts the template. Nothing changes.
        """
        after(self.phase, Move.START)
        plan = Plan(shape_of(self.template), TaskRun, self)
        restore(plan, record)
        self.plan.take_over(plan)
        self._uid = record.uid
        self.started_at = self.port.instant(record.start)
        if self.template.timeout:
            self.limit = self.port.time() + self.template.timeout - record.elapsed
        root = self.plan.steps[self.plan.shape.root]
        assert root is not None
        data = root.input_data
        self._trigger = Event(data) if isinstance(data, dict) else data
        self.errors = {
            step.template.uid: step.error
            for step in self.plan.reached()
            if step.error is not None and step.state is not FutureState.skipped
        }

    def go_on(self) -> None:
        """Start the run that was restored.

        Raises:
            IllegalMove: It was started, or cancelled, before.
        """
        self.phase = after(self.phase, Move.START)
        self.coming = True
        self.context = copy_context()
        self._end_by(self.limit, FutureState.timeout)
        self._begun = True
        self.suspension = Suspension(self)
        self.suspension.announce_after(WorkflowExecState.BEGIN.value, self.plan.ready)
        # Not whether there are errors: one of a clean-up harms nobody else.
        if self.plan.has_failed() and self.template.on_error is ErrorPolicy.ABORT:
            self.doom(FutureState.exception)
        self.port.launch(self)

    def begin(self) -> None:
        """Announce the run, when its first host begins."""
        if self._begun or self.phase is not RUNNING:
            return
        self._begun = True
        if self.broker.heard:
            data = self._trigger.data if isinstance(self._trigger, Event) else self._trigger
            self.tell(WorkflowExecState.BEGIN.value, data)

    def suspend(self) -> bool:
        """Interrupt every step, to be run again from scratch when the run is resumed.

        Returns:
            False if it was not running: then nothing changes.
        """
        self.begin()
        # A handler of its begin may have stopped it.
        if self.out_of_time() or self.phase is not RUNNING:
            return False
        self.phase = after(self.phase, Move.SUSPEND)
        if self.suspension is None:
            self.suspension = Suspension(self)
        self.suspension.cut_steps()
        self.tell(WorkflowExecState.SUSPEND.value, None)
        return True

    def resume(self) -> bool:
        """Go on.

        Returns:
            False if it was not suspended: then nothing changes.
        """
        if self.out_of_time() or self.phase is not SUSPENDED or self.suspension is None:
            return False
        self.phase = after(self.phase, Move.RESUME)
        steps = self.suspension.steps_again()
        self.suspension.announce_after(WorkflowExecState.RESUME.value, steps)
        if not self.suspension.wake():
            self.call_for_host()
        return True

    def call_for_host(self) -> None:
        """Spawn one more host if there are steps for it; it will call for the next."""
        if self.plan.ready and not self.coming:
            self.coming = True
            self.port.spawn(self)

    def root_event(self) -> Any:
        """Return what the root task is called with: of an event, a copy of its own."""
        return self._trigger.__copy__() if isinstance(self._trigger, Event) else self._trigger

    def stop(self, ending: FutureState, failure: Exception | None = None) -> bool:
        """Cancel everything; nothing of the run starts any more.

        Args:
            ending: How the run ends when all has unwound.
            failure: What it failed with.

        Returns:
            False if it was stopping or over already: then nothing changes.
        """
        if not self.doom(ending, failure):
            return False
        for host in self.hosts:
            self.interrupt(host)
        if not self.hosts and not self.coming:
            # It has not started, or could not.
            self.over()
        return True

    def doom(self, ending: FutureState, failure: Exception | None = None) -> bool:
        """Let nothing start any more, and leave it to the caller to cancel what has started."""
        if self.phase in {Phase.STOPPING, Phase.OVER}:
            return False
        if self.port.time() >= self.deadline:
            # That came first, though every host was too busy unwinding to notice.
            ending, failure = self._deadline_means, None
        self.phase = after(self.phase, Move.STOP)
        self.ending = ending
        self.failure = failure
        for step in self.plan.ready:
            step.state = FutureState.cancelled
        self.plan.ready.clear()
        if self.suspension is not None:
            self.suspension.drop_steps()
        return True

    def stop_at(self, deadline: float) -> None:
        """Cancel the run at an instant of the port's clock, unless it is over by then."""
        self._end_by(deadline, FutureState.cancelled)
        for host in self.hosts:
            # Without a scope, it needs one from the next step on.
            host.stale |= host.scope is None
            if host.scope is not None and not host.stale:
                host.scope.deadline = min(host.scope.deadline, deadline)

    def _end_by(self, deadline: float, ending: FutureState) -> None:
        if deadline < self.deadline:
            self.deadline = deadline
            self._deadline_means = ending
            self.port.watchdog.watch(self, deadline)

    def out_of_time(self) -> bool:
        """Return whether the limit is reached; if so, the run stops."""
        if self.deadline == math.inf or self.port.time() < self.deadline:
            return False
        self.stop(self._deadline_means)
        return True

    def interrupt(self, host: Host) -> None:
        """Cancel the step that a host is driving, unless it is being cleaned up after already."""
        host.stale = True
        if host.step is not None and host.step.host is None:
            return
        now = self.port.time()
        host.cut_at = min(host.cut_at, now)
        self.port.watchdog.watch(self, now)
        if host.scope is not None:
            host.scope.cancel()

    def over(self) -> None:
        """End the run: no host is left. Tell everybody, subscribers before waiters."""
        self.phase = after(self.phase, END)
        self.ended_at = self.port.time()
        ending = self.ending = self.ending or FINISHED
        if ending is FAILED and self.failure is None:
            errors = [as_exception(error) for error in self.errors.values()]
            self.failure = WorkflowFailed(f"workflow {self.template.uid!r} failed", errors)
        if self.broker.heard:
            self._tell_the_end(ending)
        assert self.workflow is not None
        self.workflow._resolve(ending, self.failure)
        if self._end_event is not None:
            self._end_event.set()
        self.port.watchdog.forget(self)
        # What is kept is what it takes to look at it. The workflow holds this and the steps, and
        # they hold this: no circle, so they go without the garbage collector.
        self.plan = self.plan.shape.at_rest
        self.context = self._trigger = self.workflow = self.suspension = None
        self.hosts = {}
        when_over, self.when_over = self.when_over, None
        if when_over is not None:
            when_over(self)

    def end_event(self) -> anyio.Event:
        """Return what is set when the run is over."""
        if self._end_event is None:
            self._end_event = anyio.Event()
        return self._end_event

    # What others learn -------------------------------------------------------------------------

    def tell(self, kind: str, content: Any, step: TaskRun | None = None) -> None:
        """Send an execution event of the run, or of one of its tasks."""
        if self.broker.heard:
            self.broker.announce(kind, content, self.uid, step or self)

    def _tell_the_end(self, ending: FutureState) -> None:
        kind: WorkflowExecState = WorkflowExecState.END
        content: Any = None
        if ending is FAILED:
            kind, content = WorkflowExecState.ERROR, self.failure
        elif ending is not FINISHED:
            content = {"cancel": True} | ({"timeout": True} if ending is TIMEOUT else {})
        self.tell(kind.value, content)
