"""A run on trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..._model.account import before_looks
from ..._model.errors import WorkflowCancelled, WorkflowTimedOut
from ..._model.state import CANCELLED, OVER, TIMED_OUT
from ..._run.run import Run
from ..._run.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..._model.template import WorkflowTemplate
    from ..._run.environment import Environment
    from ..._run.task_run import TaskRun


class TrioWorkflow(Workflow):
    """A run on trio. `await` it for the set of its tasks.

    Awaiting raises `WorkflowCancelled`, `WorkflowTimedOut` or `WorkflowFailed` if the run ended
    like that. Cancelling a task that awaits the workflow does not cancel the run.
    """

    __slots__ = ("__weakref__", "_run", "_steps")

    def __init__(self, template: WorkflowTemplate, environment: Environment) -> None:
        self._run: Run = Run(self, template, environment)
        self._steps: Any = self._run.plan.steps

    def done(self) -> bool:
        """Return whether the run is over."""
        return self._run.phase is OVER

    def __await__(self) -> Generator[Any, None, set[TaskRun]]:
        return self._awaited().__await__()

    async def _awaited(self) -> set[TaskRun]:
        ending = await self.wait()
        failure = self._run.failure
        if failure is not None:
            failure.with_traceback(before_looks(failure, _AWAITED, self))
            context = failure.__context__
            try:
                raise failure
            finally:
                # Not what was being handled by whoever waits.
                failure.__context__ = context
        if ending is TIMED_OUT:
            raise WorkflowTimedOut(self.uid)
        if ending is CANCELLED:
            raise WorkflowCancelled(self.uid)
        return set(self.tasks)


_AWAITED: Final = TrioWorkflow._awaited.__code__

WORKFLOW = TrioWorkflow
"""The class of runs on this backend; the engine looks it up by this name."""
