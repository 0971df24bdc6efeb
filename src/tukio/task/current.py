"""Which task this code runs in.

Owns:   the context variable of the running task.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ..errors import EngineError

if TYPE_CHECKING:
    from ..workflow import Workflow
    from .run import TaskRun

# The workflow beside the task, which does not hold it: a context may outlive the run.
surroundings: ContextVar[tuple[TaskRun, Workflow]] = ContextVar("tukio_task")


def running_workflow() -> Workflow | None:
    """Return the workflow that this code runs in a task of; None outside a task."""
    found = surroundings.get(None)
    return None if found is None else found[1]


def current_workflow() -> Workflow:
    """Return the workflow that this code runs in a task of, on every backend.

    Raises:
        EngineError: This code does not run in a task of a workflow.
    """
    return _here()[1]


def current_task() -> TaskRun:
    """Return the execution of the task that this code runs in, on every backend.

    Sub-tasks and callbacks that a task starts see that task.

    Raises:
        EngineError: This code does not run in a task.
    """
    task, workflow = _here()
    return task.hand_out(workflow)


# For use inside: a task that a user gets hold of is handed out.


def running_task() -> TaskRun | None:
    """Return the execution of the task that this code runs in; None outside a task."""
    found = surroundings.get(None)
    return None if found is None else found[0]


def calling_task() -> TaskRun:
    """Return the execution of the task that this code runs in.

    Raises:
        EngineError: This code does not run in a task.
    """
    return _here()[0]


def _here() -> tuple[TaskRun, Workflow]:
    try:
        return surroundings.get()
    except LookupError:
        msg = "not inside a task - call this from the coroutine of a registered task"
        raise EngineError(msg) from None
