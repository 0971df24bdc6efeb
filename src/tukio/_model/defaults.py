"""Defaults: what each task of a workflow takes that says nothing of it.

Owns:   the keys of `defaults` in a workflow, their meaning, and the faults in them.

A task says something by any value but null: `timeout` 0 is no limit, and a `retry` of one attempt
is none. What is taken is taken whole: a `retry` of the task is in the place of that of the
defaults, and not merged with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .changes import exact, set_state
from .display import nearest, plain
from .errors import Fault
from .findings import is_mapping, type_of
from .keys import WORKFLOW_KEYS, spelt
from .retry import NOTHING_TO_RETRY_BY, Retry, find_retry_faults
from .time_limits import RETRY, find_limit_faults, find_on_timeout_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .task_template import TaskTemplate

SLOTS: Final = {
    "timeout": "timeout",
    "idle_timeout": "idle_timeout",
    "on_timeout": "on_timeout",
    "retry": "_retry",
}
"""The keys of `defaults`, and where a task template has what is meant."""


def as_data(defaults: Any) -> Any:
    """Return defaults as a template has them, which are data: a `Retry` by its dict form."""
    if not is_mapping(defaults):
        return defaults
    return {
        key: value.as_dict() if isinstance(value, Retry) else value
        for key, value in defaults.items()
    }


def with_defaults(tasks: Sequence[TaskTemplate], defaults: Any) -> tuple[TaskTemplate, ...]:
    """Return the tasks of an edition as they are run: each with what it takes of the defaults.

    Args:
        tasks: The tasks, which are left as they are.
        defaults: The defaults of the template, of any kind if it was not validated.
    """
    if not is_mapping(defaults):
        return tuple(tasks)
    said = {SLOTS[exact(key)]: value for key, value in defaults.items() if exact(key) in SLOTS}
    return tuple(_taking(task, said) for task in tasks)


def _taking(task: TaskTemplate, said: Mapping[str, Any]) -> TaskTemplate:
    taken = {slot: value for slot, value in said.items() if getattr(task, slot) is None}
    if task._workflow is not None:
        # The tasks of that have signs of life, and limits for these, of their own.
        taken.pop("idle_timeout", None)
    if not taken:
        return task
    twin = type(task).__new__(type(task))
    # Of the same origin, and so equal.
    set_state(twin, (None, {**task.__getstate__()[1], **taken, "_origin": task._origin}))
    return twin


def defaults_in(document: Mapping[str, Any]) -> tuple[str, Mapping[Any, Any]]:
    """Return the key by which a document has defaults, and these; none if they are no object."""
    key = spelt(document, "defaults", WORKFLOW_KEYS)
    defaults = document.get(key)
    return key, defaults if is_mapping(defaults) else {}


def find_defaults_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults in `defaults` of a workflow.

    Args:
        document: The document of the workflow.
    """
    key, defaults = defaults_in(document)
    given = document.get(key)
    if given is not None and not is_mapping(given) and key == "defaults":
        yield Fault(key, f"must be an object, not {type_of(given)}", _HOW, TypeError)
    for name in defaults:
        if exact(name) not in SLOTS:
            yield Fault(f"{key}.{plain(name)}", "unknown key", nearest(name, SLOTS))
    yield from find_limit_faults(f"{key}.timeout", defaults.get("timeout"))
    yield from find_limit_faults(f"{key}.idle_timeout", defaults.get("idle_timeout"))
    yield from find_on_timeout_faults(f"{key}.on_timeout", defaults.get("on_timeout"))
    if defaults.get("retry") is not None:
        yield from find_retry_faults(key, defaults)
    elif exact(defaults.get("on_timeout")) == RETRY and _is_in_vain(document):
        # Once, and not for each task.
        yield Fault(f"{key}.on_timeout", *NOTHING_TO_RETRY_BY)


def _is_in_vain(document: Mapping[str, Any]) -> bool:
    """Return whether some task takes an `on_timeout`, and has no `retry`."""
    tasks = document.get(spelt(document, "tasks", WORKFLOW_KEYS))
    return any(
        task.get("on_timeout") is None and task.get("retry") is None
        for task in (tasks if isinstance(tasks, list | tuple) else ())
        if is_mapping(task)
    )


_HOW: Final = 'write {"timeout": 30}'
