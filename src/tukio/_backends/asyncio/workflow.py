"""A run on asyncio: also an `asyncio.Future`, as in 1.x."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Self

import anyio

from ..._events.loop_broker import loop_broker
from ..._model.state import FINISHED
from ..._run.assembly import assemble
from ..._run.run import Run
from ..._run.workflow import Workflow
from ..._step.surroundings import running_step
from .backend import AsyncioBackend

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..._events.broker import Broker
    from ..._model.state import FutureState
    from ..._model.template import WorkflowTemplate
    from ..._run.environment import Environment
    from ..._run.task_run import TaskRun


class AsyncioWorkflow(Workflow, asyncio.Future[set["TaskRun"]]):
    """A run on asyncio: also an `asyncio.Future`, whose result is the set of its tasks.

    Awaiting a run of a structured engine is as on any backend: it raises what `wait(check=True)`
    raises, and cancelling a task that awaits does not cancel the run. As a future, by `result()`,
    callbacks, `gather` and so on, it is as in 1.x: cancelled if the run was. `asyncio.wait_for`
    uses the future up to Python 3.11, and so cancels the run at its limit; from 3.12 on it awaits.

    A run of a loose engine, or of none, is awaited as a future: cancelling a task that awaits it
    cancels the run. The future is cancelled only when the run has unwound.
    """

    # None of them is a name that futures in pure Python have, such as `_result`.
    __slots__ = ("_all_steps", "_run", "_steps")

    if not TYPE_CHECKING:
        # `Workflow.__new__` chooses the class for the backend, which is this one already.
        if asyncio.Future.__new__ is not object.__new__:
            __new__ = asyncio.Future.__new__
        else:
            # Futures in pure Python leave this to `object`, which takes no arguments.
            def __new__(cls, *args: Any, **kwargs: Any) -> Self:
                """Make a future."""
                del args, kwargs
                return object.__new__(cls)

    def __init__(
        self,
        template: WorkflowTemplate,
        environment: Environment | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        broker: Broker | None = None,
    ) -> None:
        if environment is None:
            environment = _standalone(loop, broker)
        backend: Any = environment.backend
        # Not by the name `asyncio.Future`, here and below, which may be another class by now: a
        # loop that is patched to nest puts futures in pure Python there.
        _init_future(self, loop=backend.loop)
        # The result, made on first use.
        self._all_steps: set[TaskRun] | None = None
        # What was being handled when the failure of the run was raised; set when it is over.
        self._context: BaseException | None = None
        self._run: Run = Run(self, template, environment)
        self._steps: Any = self._run.plan.steps

    def __await__(self) -> Generator[Any, None, set[TaskRun]]:
        # A run of a structured engine is not a root.
        is_root = self._run.backend.roots is not None
        return (self._awaited() if is_root else self._checked()).__await__()

    async def _awaited(self) -> set[TaskRun]:
        try:
            return await self._outcome()
        finally:
            self._forget_the_looker()

    async def _outcome(self) -> set[TaskRun]:
        if self.done():
            await self._run.environment.turns.give_way()
            return self.result()
        self._run.backend.check_here()
        # Not by `Future.__await__`: anyio cancels a waiter in a cancelled scope at every turn of
        # the loop until it leaves. The waiter would spin for as long as the run unwinds.
        try:
            return await asyncio.shield(self)
        except asyncio.CancelledError:
            # If the future is done, the run itself was cancelled; otherwise the waiter was.
            if not self.done():
                self.cancel()
                # Shielded, because the run must have unwound before its waiter goes on.
                with anyio.move_on_after(self._patience(), shield=True):
                    await self.wait()
            raise

    def _forget_the_looker(self) -> None:
        """Take out of the failure of the run what was being handled by whoever looked at it."""
        failure = self._run.failure
        if failure is not None:
            failure.__context__ = self._context

    def _patience(self) -> float:
        """Return how long a waiter that was cancelled waits for the run to unwind, in seconds.

        A step does not wait for its own run, which waits for the step. For another one it does not
        wait for ever: that may wait, in its turn, for the run of the step.
        """
        step = running_step()
        if step is None:
            return math.inf
        environment = self._run.environment
        return 0.0 if step.run is self._run else environment.cleanup_timeout

    def unlock_when_task_done(self, task: Any = None) -> None:
        """Unlock the run when a task is over.

        Args:
            task: Any object with `add_done_callback`; None is the calling task, whether it is a
                task of a workflow or any other asyncio task.
        """
        super().unlock_when_task_done(task or running_step() or asyncio.current_task())

    def result(self) -> set[TaskRun]:
        """Return the executions of the run's tasks.

        Raises:
            InvalidStateError: The run is not over.
            CancelledError: The run was cancelled, or has reached its time limit.
            WorkflowFailed: The run has failed.
        """
        self._expect_end()
        try:
            super().result()
        finally:
            self._forget_the_looker()
        if self._all_steps is None:
            self._all_steps = set(self.tasks)
        return self._all_steps

    def exception(self) -> BaseException | None:
        """Return the failure of the run; None if it has not failed.

        Raises:
            InvalidStateError: The run is not over.
            CancelledError: The run was cancelled, or has reached its time limit.
        """
        self._expect_end()
        return super().exception()

    def _expect_end(self) -> None:
        if not self.done():
            msg = f"workflow {self.uid} is not over yet - wait for it by 'await run.wait()'"
            raise asyncio.InvalidStateError(msg)

    def _resolved(self, ending: FutureState, failure: Exception | None) -> None:
        if self.done():
            return
        if failure is not None:
            self._context = failure.__context__
            self.set_exception(failure)
            # Read once: the engine has logged the failure, so asyncio need not report it as never
            # retrieved.
            self.exception()
        elif ending is FINISHED:
            self.set_result(None)  # type: ignore[arg-type]  # the set is made on first use
        else:
            # Not `self.cancel`, which is that of Workflow and cancels the run.
            super(Workflow, self).cancel(self._run.reason)


_init_future: Any = vars(AsyncioWorkflow.__bases__[1])["__init__"]
"""The `__init__` of the kind of future that runs are."""


def _standalone(loop: asyncio.AbstractEventLoop | None, broker: Broker | None) -> Environment:
    """Return an environment for one run without an engine, as in 1.x."""
    backend = AsyncioBackend(loop or asyncio.get_running_loop(), structured=False)
    if broker is None:
        broker = shared = loop_broker(backend.loop)
        shared.is_in_use = True
    return assemble(backend, broker)


WORKFLOW = AsyncioWorkflow
"""The class of runs on this backend; the engine looks it up by this name."""
