"""The words for what a run does at its end: `compensate` of tasks, and `finally` of workflows.

Owns:   these words, the ids of what they stand for, and the faults in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .changes import exact
from .display import nearest, plain, shown
from .errors import Fault
from .findings import find_uncopied, is_mapping, type_of
from .retry import find_retry_faults
from .state import CANCELLED, FAILED, TIMED_OUT
from .time_limits import find_limit_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TASK_OF_FINALLY: Final = ("id", "name", "config", "timeout", "retry")
"""The keys of a task of `finally`."""

COMPENSATION: Final = ("name", "config", "timeout", "retry", "begun")
"""The keys of `compensate`, if it is an object."""

ENDINGS: Final = (FAILED.value, TIMED_OUT.value, CANCELLED.value)
"""The endings of a run that are followed by compensations, unless `compensate_on` names some."""

SUFFIX: Final = ".compensate"
"""What the id of a compensation ends with, behind that of the task."""

TIMEOUT: Final = 25.0
"""The seconds that a run may take to close, unless its template says otherwise."""


def compensation_id(uid: str) -> str:
    """Return the id of the compensation of a task."""
    return f"{uid}{SUFFIX}"


def compensation_in(words: Any) -> Mapping[Any, Any]:
    """Return what `compensate` of a task says as an object; empty if it says nothing of use."""
    if is_mapping(words):
        return words
    return {"name": words} if isinstance(words, str) else {}


def id_of_finally(task: Mapping[Any, Any]) -> Any:
    """Return the id of a task of `finally`: its name, unless it has one of its own."""
    uid = exact(task.get("id"))
    return exact(task.get("name")) if uid in (None, "") else uid


def find_compensate_faults(path: str, value: Any) -> Iterator[Fault]:
    """Yield the faults in `compensate` of a task that concern the task alone.

    Args:
        path: The path of the key in its document.
        value: What the document has there.
    """
    if value is None or (isinstance(value, str) and value):
        return
    if not is_mapping(value):
        advice = 'write the name of a task, or {"name": "undo", "timeout": 10}'
        problem = f"must be a name or an object, not {type_of(value)} {shown(value)}"
        yield Fault(path, problem, advice, TypeError)
        return
    yield from _task(path, value, COMPENSATION)
    begun = value.get("begun")
    if begun is not None and not isinstance(begun, bool):
        advice = "true undoes the task, too, if it has begun and not finished"
        yield Fault(f"{path}.begun", f"must be true or false, not {shown(begun)}", advice)


def find_closing_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults in `finally`, `closing_timeout` and `compensate_on` of a workflow.

    Args:
        document: The document of a template.
    """
    yield from _finally(document.get("finally"))
    yield from find_limit_faults("closing_timeout", document.get("closing_timeout", TIMEOUT))
    on = document.get("compensate_on")
    if on is not None and not isinstance(on, list | tuple):
        advice = f"list some of {', '.join(ENDINGS)}"
        yield Fault("compensate_on", f"must be a list, not {type_of(on)}", advice, TypeError)
        return
    for place, ending in enumerate(on or ()):
        if not (isinstance(ending, str) and ending in ENDINGS):
            problem = f"{shown(ending)} is not one of {', '.join(ENDINGS)}"
            yield Fault(f"compensate_on[{place}]", problem, nearest(ending, ENDINGS))


def _finally(tasks: Any) -> Iterator[Fault]:
    if tasks is None:
        return
    if not isinstance(tasks, list | tuple):
        problem = f"must be a list of tasks, not {type_of(tasks)}"
        yield Fault("finally", problem, "they are run in this order at the end", TypeError)
        return
    for place, task in enumerate(tasks):
        path = f"finally[{place}]"
        if not is_mapping(task):
            problem = f"a task is a mapping, not {type_of(task)}"
            yield Fault(path, problem, "give it at least a 'name'", TypeError)
            continue
        yield from _task(path, task, TASK_OF_FINALLY)
        uid = task.get("id")
        if uid is not None and not isinstance(uid, str):
            problem = f"must be a string, not {type_of(uid)}"
            yield Fault(f"{path}.id", problem, "quote it", TypeError)


def _task(path: str, task: Mapping[Any, Any], known: tuple[str, ...]) -> Iterator[Fault]:
    """Yield the faults in the keys that both kinds of tasks have."""
    for key in task:
        if exact(key) not in known:
            yield Fault(f"{path}.{plain(key)}", "not a key of such a task", nearest(key, known))
    name = task.get("name")
    if name is None and "name" not in task:
        advice = "say which registered task it runs"
        yield Fault(f"{path}.name", "missing name", advice, KeyError)
    elif not isinstance(name, str) or not name:
        problem = f"must be a registered name, not {type_of(name)}"
        yield Fault(f"{path}.name", problem, "use a string", TypeError)
    yield from find_uncopied(f"{path}.config", task.get("config"))
    yield from find_limit_faults(f"{path}.timeout", task.get("timeout"))
    yield from find_retry_faults(path, task)


def find_closing_ids(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults of ids that are used twice, and of tasks that may take for ever.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    taken = {task["id"]: f"tasks[{number}].id" for number, task in enumerate(document["tasks"])}
    unlimited = not document.get("closing_timeout", TIMEOUT)
    for path, uid, task in closing_tasks(document):
        if uid in taken:
            problem = f"duplicate task id {shown(uid)}, also at {taken[uid]}"
            yield Fault(path, problem, "give each task an id of its own")
        taken.setdefault(uid, path)
        if unlimited and not task.get("timeout"):
            where = path.removesuffix(".id")
            problem = f"{shown(task['name'])} has no timeout and closing_timeout is null"
            yield Fault(where, problem, "limit one of the two: nothing else ends it")


def closing_tasks(
    document: Mapping[str, Any],
) -> Iterator[tuple[str, str, Mapping[Any, Any]]]:
    """Yield the path, the id and the words of each task that a run may close with."""
    for number, task in enumerate(document["tasks"]):
        words = compensation_in(task.get("compensate"))
        if isinstance(words.get("name"), str):
            yield f"tasks[{number}].compensate", compensation_id(task["id"]), words
    tasks = document.get("finally")
    for place, task in enumerate(tasks if isinstance(tasks, list | tuple) else ()):
        if is_mapping(task) and isinstance(task.get("name"), str):
            yield f"finally[{place}].id", id_of_finally(task), task


def names_in_closing(
    tasks: Any, key: str, finals: Any
) -> Iterator[tuple[str, str, Mapping[Any, Any]]]:
    """Yield the path of each name in `compensate` and `finally`, the name, and the words around it.

    Args:
        tasks: What a document has as its tasks.
        key: The key by which it has them.
        finals: What it has as `finally`.
    """
    for number, task in enumerate(tasks if isinstance(tasks, list | tuple) else ()):
        words = task.get("compensate") if is_mapping(task) else None
        path = f"{key}[{number}].compensate"
        if isinstance(words, str):
            yield path, exact(words), {}
        elif is_mapping(words) and isinstance(words.get("name"), str):
            yield f"{path}.name", exact(words["name"]), words
    for place, task in enumerate(finals if isinstance(finals, list | tuple) else ()):
        if is_mapping(task) and isinstance(task.get("name"), str):
            yield f"finally[{place}].name", exact(task["name"]), task
