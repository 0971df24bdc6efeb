"""Kinds of steps: what an execution of a task does beside calling the function of the task.

Owns:   the words for that, and which of them the template of a task asks for.
Knows:  nothing of what the words lead to; the classes that carry them out stand with the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .task_template import TaskTemplate

IDLE: Final = "idle"
"""The step must show signs of life: its task has an `idle_timeout`."""


MAP: Final = "map"
"""The step waits for its items: its task has a `map`."""

ITEM: Final = "item"
"""The step is an item of one that waits for it."""


def kinds_of(task: TaskTemplate) -> tuple[str, ...]:
    """Return what the steps of a task do beside calling its function, outermost first.

    Empty for most tasks.
    """
    if task._map is not None:
        # The rest is done by the items.
        return (MAP,)
    return (IDLE,) if task.idle_timeout else ()


def item_kinds(task: TaskTemplate) -> tuple[str, ...]:
    """Return what the items of a mapped task do beside calling its function, outermost first."""
    return (ITEM, IDLE) if task.idle_timeout else (ITEM,)
