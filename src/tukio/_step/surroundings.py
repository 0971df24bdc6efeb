"""Which step this code runs in.

Owns:   the context variable of the running step.

Internal: what user code receives must go through `keep_workflow`, as in `_run/current.py`.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._model.errors import EngineError

if TYPE_CHECKING:
    from .step import LiveStep

# The workflow beside the step, which does not hold it: a context may outlive the run.
surroundings: ContextVar[tuple[LiveStep, Any]] = ContextVar("tukio_task")


def running_workflow() -> Any:
    """Return the workflow that this code runs in a step of; None outside a step."""
    found = surroundings.get(None)
    return None if found is None else found[1]


def running_step() -> LiveStep | None:
    """Return the step that this code runs in; None outside a step."""
    found = surroundings.get(None)
    return None if found is None else found[0]


def here() -> tuple[LiveStep, Any]:
    """Return the step that this code runs in, and its workflow.

    Raises:
        EngineError: This code does not run in a step.
    """
    try:
        return surroundings.get()
    except LookupError:
        msg = "not inside a task - call this from the coroutine of a registered task"
        raise EngineError(msg) from None
