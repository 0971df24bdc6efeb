"""A run on trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._model.state import OVER
from ..._run.run import Run
from ..._run.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..._model.template import WorkflowTemplate
    from ..._run.environment import Environment
    from ..._run.task_run import TaskRun


class TrioWorkflow(Workflow):
    """A run on trio. `await` it for the set of its tasks.

    Awaiting raises what `wait(check=True)` raises. Cancelling a task that awaits the workflow does
    not cancel the run.
    """

    __slots__ = ("__weakref__", "_run", "_steps")

    def __init__(self, template: WorkflowTemplate, environment: Environment) -> None:
        self._run: Run = Run(self, template, environment)
        self._steps: Any = self._run.plan.steps

    def done(self) -> bool:
        """Return whether the run is over."""
        return self._run.phase is OVER

    def __await__(self) -> Generator[Any, None, set[TaskRun]]:
        return self._checked().__await__()


WORKFLOW = TrioWorkflow
"""The class of runs on this backend; the engine looks it up by this name."""
