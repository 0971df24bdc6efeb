"""The size limits of templates; a larger template is refused before anything is made of it.

Owns:   the limits, which are the same for all engines, and their check, which ends at the first
        value beyond a limit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .errors import Fault
from .location import CONTAINERS, SCALARS, Location

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TASKS = 100_000
"""The largest number of tasks of a template."""

MOST_EDGES = 1_000_000
"""The largest number of links between the tasks of a template."""

MOST_VALUES = 2_000_000
"""The largest number of values of a template at all depths: numbers, texts, dicts and lists."""

DEEPEST = 100
"""The largest depth of nested dicts and lists, the dict of the template itself included."""

SPLIT = "split it into several workflows"
NOT_IN_TEMPLATE = "hand such data to the runs, not to the template"


def find_excess(document: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each limit that a template document exceeds.

    Args:
        document: The document, of any size; it should be the dict form of a template.
    """
    return [*_counts(document)] or [*_sizes(document)]


def _counts(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Check the numbers of tasks and links."""
    tasks, graph = document.get("tasks"), document.get("graph")
    if isinstance(tasks, list | tuple) and len(tasks) > MOST_TASKS:
        yield Fault("tasks", f"{len(tasks):,} tasks, and {MOST_TASKS:,} at most", SPLIT)
    if isinstance(graph, Mapping):
        edges = sum(len(downs) for downs in graph.values() if isinstance(downs, Collection))
        if edges > MOST_EDGES:
            yield Fault("graph", f"{edges:,} links, and {MOST_EDGES:,} at most", SPLIT)


def _sizes(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Check the number of values and their depth, level by level.

    A container is counted once for each path to it, as often as its JSON form would have it.
    """
    level: list[Any] = [document]
    count = 0
    for _ in range(DEEPEST):
        # Checked before the next level is made, which may be a thousand times as large.
        count += sum(map(len, level))
        if count > MOST_VALUES:
            yield Fault("", f"more than {MOST_VALUES:,} values", NOT_IN_TEMPLATE)
            return
        level = [
            part
            for value in level
            for part in (value.values() if isinstance(value, Mapping) else value)
            if type(part) not in SCALARS and isinstance(part, CONTAINERS) and part
        ]
        if not level:
            return
    path = _deepest(document).path()
    yield Fault(path, f"nested deeper than {DEEPEST} levels", NOT_IN_TEMPLATE)


def _deepest(document: Any) -> Location:
    """Return the location of a value that is nested too deeply."""
    waiting = [Location(document)]
    while waiting[-1].depth < DEEPEST:
        waiting += [inner for inner in waiting.pop().inner(CONTAINERS) if inner.value]
    return waiting[-1]
