"""Children: the runs that a task starts in place of a registered task, and waits for.

Owns:   the form of the key `workflow` of a task, the ids of children, and how deep they may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from .changes import exact
from .detach import detached
from .display import shown
from .errors import Fault
from .findings import is_mapping, type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEEPEST: Final = 32
"""The largest number of runs above a run: each is the child of the next one."""

FEW: Final = 3
"""The number of templates that are named at each end of a chain that is too long."""

_NOT_BESIDE: Final = {
    "name": "a task runs one of them: remove one",
    "config": "the tasks of that workflow have configs of their own; data comes from the parents",
    "topics": "the tasks of that workflow have topics of their own",
    "idle_timeout": "the tasks of that workflow have limits of their own",
}
"""The keys that a task with a `workflow` cannot have, and what helps."""


def document_of(workflow: Any) -> Any:
    """Return what a task keeps of its `workflow`: an id, or a document with ids of its own.

    Args:
        workflow: An id, a template, or a document; anything else is returned as it is.
    """
    as_dict = getattr(type(workflow), "as_dict", None)
    if as_dict is not None:
        return as_dict(workflow)
    return _with_ids(workflow) if is_mapping(workflow) else exact(workflow)


def id_of(workflow: Any) -> Any:
    """Return the id of the template that a task keeps as its `workflow`."""
    return workflow.get("id") if is_mapping(workflow) else workflow


def _with_ids(document: Any) -> dict[str, Any]:
    """Return a document in which the template and each task have an id.

    Without them, each run of the document would be one of other tasks, and no report would fit.
    """
    made = {**document}
    if made.get("id") is None:
        made["id"] = str(uuid4())
    tasks = made.get("tasks")
    if isinstance(tasks, list | tuple):
        made["tasks"] = [_task_with_ids(task) for task in tasks]
    return made


def _task_with_ids(task: Any) -> Any:
    if not is_mapping(task):
        return task
    made = {**task}
    if made.get("id") is None:
        made["id"] = str(uuid4())
    if made.get("workflow") is not None:
        made["workflow"] = document_of(made["workflow"])
    return made


def find_workflow_faults(
    path: str, task: Mapping[str, Any], find: Callable[[Any], Sequence[Fault]]
) -> Iterator[Fault]:
    """Yield the faults in `workflow` of a task, and in the keys that cannot be beside it.

    Args:
        path: The path of the task in its document.
        task: The task, as a document.
        find: Returns the faults of the document of a template.
    """
    workflow = exact(task.get("workflow"))
    if workflow is None:
        return
    for key, advice in _NOT_BESIDE.items():
        # What says nothing is no fault: it is what the dict form of a task has.
        if (value := task.get(key)) is not None and not (key != "name" and _is_empty(value)):
            yield Fault(f"{path}.workflow", f"beside {key!r}", advice)
    if isinstance(workflow, str):
        if not workflow:
            advice = "give the id of a loaded template, or a template"
            yield Fault(f"{path}.workflow", "an empty id", advice)
    elif is_mapping(workflow):
        for fault in find(workflow):
            inner = f".{fault.path}" if fault.path else ""
            yield fault._replace(path=f"{path}.workflow{inner}")
    else:
        problem = f"must be the id of a template, or a template, not {type_of(workflow)}"
        advice = "quote the id, or give the dict form, as_dict()"
        yield Fault(f"{path}.workflow", problem, advice, TypeError)


def has_begun(report: Mapping[str, Any]) -> bool:
    """Return whether a report tells of a run that has begun; what is no report is for others."""
    execution = report.get("exec")
    return not is_mapping(execution) or execution.get("start", "") is not None


def read_child(report: Any) -> dict[str, Any] | None:
    """Return a copy of the report of a child, which is read when its template is known.

    Raises:
        TypeError: It is neither a mapping nor None.
    """
    if report is None:
        return None
    if not isinstance(report, Mapping):
        msg = f"{shown(report)} is not the report of a child"
        raise TypeError(msg)
    child: dict[str, Any] = detached(dict(report))
    return child


def children_in(execution: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the reports of the runs that a step has started, in what a report shows of the step."""
    if execution.get("child"):
        yield execution["child"]
    items = execution.get("items")
    if is_mapping(items) and is_mapping(items.get("children")):
        yield from items["children"].values()


def without_data(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a report without inputs, outputs and what holders report, at any depth."""
    made = detached(dict(report))
    waiting: list[Any] = [made]
    while waiting:
        for task in waiting.pop().get("tasks", ()):
            execution = task.get("exec") or {}
            for key in ("inputs", "outputs", "reporting"):
                execution.pop(key, None)
            items = execution.get("items")
            if items and "done" in items:
                items["done"] = len(items["done"])
            waiting += children_in(execution)
    return made  # type: ignore[no-any-return]  # a copy of a dict


def _is_empty(value: Any) -> bool:
    return value in (0, "") or (isinstance(value, Mapping | list | tuple) and not value)


def too_deep(template_ids: Sequence[str]) -> RecursionError:
    """Return the error of a run that would be too deep.

    Args:
        template_ids: The ids of the templates of the runs above it, from the outermost one on, and
            its own.
    """
    names = [shown(uid) for uid in template_ids]
    chain = [*names[:FEW], "...", *names[-FEW:]]
    msg = (
        f"{len(names) - 1} runs, each the child of another one, and {DEEPEST} at most:"
        f" {' > '.join(chain)} - a workflow that leads to itself must come to an end"
    )
    return RecursionError(msg)
