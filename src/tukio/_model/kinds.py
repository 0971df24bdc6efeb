"""Kinds of steps: what an execution of a task does beside calling the function of the task.

Owns:   the words for that, and which of them the template of a task asks for.
Knows:  nothing of what the words lead to; the classes that carry them out stand with the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .after_failure import has_handlers

if TYPE_CHECKING:
    from .task_template import TaskTemplate

CLOSING: Final = "closing"
"""The step is of no task of the graph: it undoes one, or comes last. No template asks for it."""

HANDLED: Final = "handled"
"""Some successors of the step are for its failure alone: its task has an `on_error` with `to`."""

IDLE: Final = "idle"
"""The step must show signs of life: its task has an `idle_timeout`."""


CHILD: Final = "child"
"""The step is a run of its own: its task has a `workflow` in place of a name."""

MAP: Final = "map"
"""The step waits for its items: its task has a `map`."""

MAP_OF_RUNS: Final = "map of runs"
"""The items of the step are runs of their own: its task has a `map` and a `workflow`."""

ITEM: Final = "item"
"""The step is an item of one that waits for it."""

RUN_OF_ITEM: Final = "run of item"
"""The step is an item that is a run of its own."""


def kinds_of(task: TaskTemplate) -> tuple[str, ...]:
    """Return what the steps of a task do beside calling its function, outermost first.

    Empty for most tasks.
    """
    words = (HANDLED,) if has_handlers(task) else ()
    if task._map is not None:
        # The rest is done by the items.
        return (*words, MAP) if task._workflow is None else (*words, MAP_OF_RUNS, MAP)
    if task._workflow is not None:
        return (*words, CHILD)
    return (*words, IDLE) if task.idle_timeout else words


def item_kinds(task: TaskTemplate) -> tuple[str, ...]:
    """Return what the items of a mapped task do beside calling its function, outermost first."""
    if task._workflow is not None:
        return (RUN_OF_ITEM,)
    return (ITEM, IDLE) if task.idle_timeout else (ITEM,)
