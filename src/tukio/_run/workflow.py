"""One run of a workflow, as its user sees it, on every backend.

Owns:   nothing: `Run` has the state; this is its face.
Source: 1.x `Workflow`; there it was an `asyncio.Future`, and on asyncio it still is one.
"""

from __future__ import annotations

import importlib
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Self

from .._loop.running import running_backend
from .._model.account import before_looks
from .._model.errors import EngineError
from .._model.event import Event
from .._model.guard import make_sure_of_room
from .._model.logs import Log
from .._model.record import read
from .._model.shape import shape_of
from .._model.state import CANCELLED, NEW, OVER, SUSPENDED, TIMED_OUT
from .._step.log_fields import log_fields
from .._step.surroundings import here, running_workflow
from . import restoring, suspending
from .lock import Lock
from .verdict import problem_of, reason_from
from .view import RunView

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from .._model.policy import OverrunPolicy
    from .._model.state import FutureState
    from .task_run import TaskRun


log: Log = Log("tukio.run")


class Workflow(RunView):
    """One run of a workflow.

    On asyncio it also is an `asyncio.Future`: `await` it, or use it with `asyncio.wait`, `gather`
    and so on. On trio it can be awaited. `wait()` is the portable way.

    An engine makes it. On asyncio, as in 1.x, one can be made without: `Workflow(template)`, then
    `run(data)`; it is a root of its own, and goes on if nobody holds it.

    Args:
        template: What to run.
        loop: An asyncio event loop; None is the running one.
        broker: Where its execution events go; None is the one that engines on that loop share.

    Raises:
        EngineError: Not on asyncio.
        WorkflowRootTaskError: The template does not have exactly one root task.
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a run of the asyncio kind where none is asked for."""
        del args
        kind: Any = _standalone_class(kwargs.get("loop")) if cls is Workflow else cls
        workflow: Self = super(Workflow, kind).__new__(kind)
        return workflow

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, None, set[TaskRun]]:
            """Wait until it is over; what is raised depends on the backend."""
            ...

    @property
    def parent(self) -> Workflow | None:
        """The run that has started this one as its child, and waits for it; None for any other."""
        child_of = self._run.environment.child_of
        parent: Workflow | None = None if child_of is None else child_of.workflow
        return parent

    # What can be done to it -----------------------------------------------------------------------

    async def wait(self, *, check: bool = False) -> FutureState:
        """Wait until it is over, and return how it ended.

        Args:
            check: Whether anything that did not go well is raised; without it, the fate of the run
                never is.

        Raises:
            EngineError: It is not over, and runs in another event loop or thread.
            WorkflowFailed: (with `check`) There are errors, whether the run has failed or has
                finished; the group holds those of `unhandled`.
            WorkflowTimedOut: (with `check`) The run has reached its time limit.
            WorkflowCancelled: (with `check`) The run was cancelled.

        Cancellation: the run goes on; only the waiting ends.
        """
        if self._run.phase is OVER:
            await self._run.environment.turns.give_way()
        else:
            self._run.backend.check_here()
            await self._run.end_event().wait()
        ending = self._run.ending
        assert ending is not None
        if check:
            self._raise_problem()
        return ending

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel it: every task of it is cancelled, none starts any more.

        It is over when all its tasks have unwound and been cleaned up after.

        Args:
            msg: The reason, for people: kept in the terminal event, the report, and the error that
                `wait(check=True)` raises. None is no reason. That of the first call counts.

        Returns:
            Whether it was not over yet; calling this again does no harm.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        return self._stop(CANCELLED, reason_from(msg))

    def suspend(self) -> bool:
        """Interrupt all its tasks; they are run again, from scratch, when it is resumed.

        Tasks that are over are never run again. The time limit of the workflow goes on.

        Returns:
            False if it has not started, is suspended already, or is over: then nothing changes.
        """
        self._run.backend.check_here()
        make_sure_of_room()
        return suspending.suspend(self._run)

    def resume(self) -> bool:
        """Go on after `suspend()`.

        Returns:
            False if it is not suspended: then nothing changes.
        """
        self._run.backend.check_here()
        make_sure_of_room()
        resumed = suspending.resume(self._run)
        if not resumed:
            uid, extra = self._run.uid, log_fields(self._run)
            log.error("cannot resume workflow %s: it is not suspended", uid, extra=extra)
        return resumed

    def set_next_tasks(self, task_tmpl_ids: Iterable[str]) -> None:
        """Choose the successors that the calling task leads to; the last call counts.

        Args:
            task_tmpl_ids: Ids of the tasks to go on with; empty to stop the branch here.

        Raises:
            EngineError: Not called from a running task of this workflow, in its own thread.
            TypeError: Not a list of ids. The choice is as before.
            LookupError: One of them is not a successor of the task. The choice is as before.
        """
        step, _ = here()
        if step.run is not self._run or step.ended_at is not None:
            msg = f"{step} is not executed by {self} - call this from one of its running tasks"
            raise EngineError(msg)
        self._run.backend.check_here()
        self._run.plan.choose(step, task_tmpl_ids)

    def unlock(self) -> None:
        """Release the lock: new data may start another run (policy `skip-until-unlock`).

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self.lock.release()

    # For those who wait -------------------------------------------------------------------------

    async def _checked(self) -> set[TaskRun]:
        """Wait until it is over; return the executions of its tasks, or raise its problem."""
        await self.wait(check=True)
        return set(self.tasks)

    def _raise_problem(self) -> None:
        """Raise what did not go well, if anything; the run is over."""
        failure = self._run.failure
        if failure is None:
            problem = problem_of(self._run, self._steps)
            if problem is not None:
                raise problem
            return
        failure.with_traceback(before_looks(failure, _LOOKED, self))
        context = failure.__context__
        try:
            raise failure
        finally:
            # Not what was being handled by whoever waits.
            failure.__context__ = context

    # For the run ----------------------------------------------------------------------------------

    def _stop(self, ending: FutureState, reason: str | None = None) -> bool:
        self._run.backend.check_here()
        if self._run.phase is OVER:
            return False
        make_sure_of_room()
        self._run.note_reason(reason)
        self._run.stop(ending)
        return True

    def _resolved(self, ending: FutureState, failure: Exception | None) -> None:
        """Called once, when it is over; `wait()` needs nothing more."""

    # As in 1.x ------------------------------------------------------------------------------------

    @classmethod
    def current_workflow(cls, loop: Any = None) -> Workflow | None:
        """Return the workflow that this code runs in a task of; None outside, as in 1.x."""
        del loop
        workflow: Workflow | None = running_workflow()
        return workflow

    @property
    def policy(self) -> OverrunPolicy:
        """The overrun policy of its template."""
        return self._run.template.policy

    @property
    def timed_out(self) -> bool:
        """Whether it reached its time limit."""
        return self._run.ending is TIMED_OUT

    @property
    def committed(self) -> bool:
        """Whether it has started and is not suspended."""
        return self._run.phase not in {NEW, SUSPENDED}

    @property
    def lock(self) -> Lock:
        """Its lock, for the policy `skip-until-unlock`; has `locked()` and `release()`."""
        return Lock(self._run)

    def unlock_when_task_done(self, task: Any = None) -> None:
        """Unlock when a task is over.

        Args:
            task: Anything with `add_done_callback`; None is the calling task.
        """

        def unlock(_: object) -> None:
            self.unlock()

        step: Any = task or here()[0]
        step.add_done_callback(unlock)

    def run(self, data: Any) -> TaskRun:
        """Start it, without an engine.

        Args:
            data: A dict or an event; anything else is handed to the root task as it is.

        Returns:
            The execution of the root task.

        Raises:
            EngineError: Called from another event loop or thread. Nothing was started.
            IllegalMove: It was started, or cancelled, before.
        """
        self._run.backend.check_here()
        if isinstance(data, dict):
            data = Event(data)
        elif isinstance(data, Event):
            # With its topic and its source; the caller may go on to change it.
            data = copy(data)
        root: TaskRun = self._run.start(data)._keep_workflow(self)
        return root

    def fast_forward(self, report: Mapping[str, Any]) -> None:
        """Go on with a run from its report, without an engine; see `Engine.rescue`.

        Raises:
            TemplateError: The template has faults. Nothing was started.
            RescueError: The report cannot be continued. Nothing was started.
            IllegalMove: This was started, or cancelled, before. It goes on as it was.
        """
        self._run.backend.check_here()
        template = self.template
        template.validate()
        restoring.restore(self._run, read(report, template), shape_of(template))
        restoring.go_on(self._run)

    def timeout(self) -> bool:
        """Cancel it as if it had reached its time limit.

        Returns:
            Whether it was not over yet.
        """
        return self._stop(TIMED_OUT)


_LOOKED: Final = Workflow._raise_problem.__code__
"""Whose frame tells a look at the failure of a run from how the failure came about."""


def _standalone_class(loop: Any = None) -> type[Any]:
    """Return the class of runs without an engine, which there are on asyncio only.

    Raises:
        EngineError: No loop was given, and asyncio is not running.
    """
    if loop is None and running_backend() != "asyncio":
        msg = "a workflow without an engine needs asyncio - use tukio.Engine().run_once(...)"
        raise EngineError(msg)
    kind: type[Any] = importlib.import_module("tukio._backends.asyncio.workflow").AsyncioWorkflow
    return kind
