"""The step that the calling code runs in.

Internal: a step that user code receives must go through `_keep_workflow`, as in `_run/current.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._loop.surroundings import surroundings
from .._model.errors import EngineError

if TYPE_CHECKING:
    from .step import LiveStep


def running_workflow() -> Any:
    """Return the workflow of the calling step; None outside a step."""
    found = surroundings.get(None)
    return None if found is None else found[1]


def running_step() -> LiveStep | None:
    """Return the calling step; None outside a step."""
    found = surroundings.get(None)
    return None if found is None else found[0]


def here() -> tuple[LiveStep, Any]:
    """Return the calling step and its workflow.

    Raises:
        EngineError: The caller does not run in a step.
    """
    try:
        return surroundings.get()
    except LookupError:
        msg = "not inside a task - call this from the coroutine of a registered task"
        raise EngineError(msg) from None
