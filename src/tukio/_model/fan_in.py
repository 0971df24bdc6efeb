"""Fan-in: for which of its parents a task waits, and which data it then receives.

Owns:   the words for `join` and `collect` in a task, their meaning, and the faults in them.
Source: 1.x, where a task starts with the first parent that ends; only its task `join` waited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

from .changes import exact
from .display import nearest, shown
from .errors import Fault
from .event import own_data
from .keys import TASK_KEYS, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .task_template import TaskTemplate

JOIN_TASK: Final = "join"
"""The name of the registered task that waits for several parents itself."""

FIRST: Final = "first"
ALL: Final = "all"
SETTLED: Final = "settled"
WORDS: Final = (FIRST, ALL, SETTLED)
"""The words for `join`; a number of parents is the other way to say it."""

MERGE: Final = "merge"
COLLECT: Final = (FIRST, MERGE, ALL)
"""The values of `collect`."""

_HOW: Final = f"give {', '.join(map(repr, WORDS))}, or a number of parents"


class Join(NamedTuple):
    """For which parents a task waits.

    Attributes:
        wanted: The number of parents that must arrive; None for as many as can. With fewer that
            can still arrive, it is as many as can.
        strict: Whether the task never starts once a parent has failed, or cannot arrive because
            another task has failed.
        collect: The data that the task receives: a value of `COLLECT`.
    """

    wanted: int | None
    strict: bool
    collect: str


def join_of(task: TaskTemplate) -> Join | None:
    """Return for which parents a task waits; None if it starts with the first."""
    join, collect = task.join, task.collect
    if _is_count(join):
        return Join(join, strict=False, collect=collect or MERGE)
    if join not in (ALL, SETTLED):
        # A template that was not validated may have anything here.
        return None
    return Join(None, strict=join == ALL, collect=collect or MERGE)


def collected(collect: str, arrived: Sequence[tuple[Any, Any]]) -> Any:
    """Return the data that a task receives which has waited for several parents.

    Args:
        collect: A value of `COLLECT`.
        arrived: The data of each parent and the parent, a step, in the order they arrived; at least
            one.
    """
    if collect == ALL:
        return {parent.template.uid: own_data(data) for data, parent in arrived}
    # What a run without an engine is started with need not be a dict, and tasks pass it on.
    dicts = [data for data, _ in arrived if isinstance(data, dict)]
    if collect == FIRST or not dicts:
        return arrived[0][0]
    merged: dict[str, Any] = {}
    for data in dicts:
        # Not `update`, which calls methods of a user's kind of dict.
        merged |= dict(dict.items(data))
    return merged


def parents_in(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the ids of the parents of each task that has any, in declared order.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    parents: dict[str, list[str]] = {}
    for upstream, downstream in document["graph"].items():
        for uid in downstream:
            parents.setdefault(uid, []).append(upstream)
    return parents


def find_join_faults(path: str, task: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults in `join` and `collect` of a task that concern the task alone.

    Args:
        path: The path of the task in its document.
        task: The task, as a document.
    """
    # A misspelt `join` is a fault, and not also missing beside `collect`.
    key = spelt(task, "join", TASK_KEYS)
    join, collect = exact(task.get(key)), exact(task.get("collect"))
    if join is not None and not _is_count(join) and not (isinstance(join, str) and join in WORDS):
        kind = f"{shown(join)} is not one of {', '.join(WORDS)}, and no number of parents"
        advice = nearest(join, WORDS) if isinstance(join, str) else _HOW
        yield Fault(f"{path}.{key}", kind, advice)
    if collect is not None and not (isinstance(collect, str) and collect in COLLECT):
        problem = f"{shown(collect)} is not one of {', '.join(COLLECT)}"
        yield Fault(f"{path}.collect", problem, nearest(collect, COLLECT))
    elif collect is not None and join in (None, FIRST):
        advice = "write 'join': 'all' beside it, or leave it out"
        yield Fault(f"{path}.collect", "a task that waits for one parent collects nothing", advice)
    elif task.get("name") == JOIN_TASK and join not in (None, FIRST):
        advice = "use the config of the task 'join', or another task with this key"
        yield Fault(f"{path}.{key}", "the task 'join' waits for its parents itself", advice)


def find_count_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each task that waits for more parents than it has.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    parents = parents_in(document)
    for number, task in enumerate(document["tasks"]):
        join, has = task.get("join"), len(parents.get(task["id"], ()))
        path = f"tasks[{number}].join"
        if join in (ALL, SETTLED) and not has:
            advice = "link the tasks it waits for to it in 'graph', or leave 'join' out"
            yield Fault(path, "the task has no parents to wait for", advice)
        elif _is_count(join) and join > has:
            problem = f"cannot wait for {shown(join)} of {has} parents"
            advice = f"give a number from 1 to {has}, or 'all'" if has else "leave 'join' out"
            yield Fault(path, problem, advice)


def find_unsaid(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a warning for each task with several parents that does not say for which it waits.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    parents = parents_in(document)
    for number, task in enumerate(document["tasks"]):
        has = len(parents.get(task["id"], ()))
        if has > 1 and task.get("join") is None and task.get("name") != JOIN_TASK:
            problem = f"not said: the task starts with the first of its {has} parents that ends"
            advice = "write 'join': 'all' to wait for all, or 'join': 'first' if that is meant"
            yield Fault(f"tasks[{number}].join", problem, advice)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
