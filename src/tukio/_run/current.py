"""Which task, and which workflow, this code runs in: for user code, and for the tasks of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._step.surroundings import here

if TYPE_CHECKING:
    from .task_run import TaskRun
    from .workflow import Workflow


def current_workflow() -> Workflow:
    """Return the workflow that this code runs in a task of, on every backend.

    Raises:
        EngineError: This code does not run in a task of a workflow.
    """
    workflow: Workflow = here()[1]
    return workflow


def current_task() -> TaskRun:
    """Return the execution of the task that this code runs in, on every backend.

    Sub-tasks and callbacks that a task starts see that task.

    Raises:
        EngineError: This code does not run in a task.
    """
    step, workflow = here()
    task: TaskRun = step._keep_workflow(workflow)
    return task


def calling_task() -> TaskRun:
    """Return the execution of the task that this code runs in, not for user code to keep.

    Raises:
        EngineError: This code does not run in a task.
    """
    task, _ = here()
    return task  # type: ignore[return-value]  # all steps of a live run are TaskRuns
