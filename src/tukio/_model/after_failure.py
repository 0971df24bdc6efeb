"""What follows from the failure of a task: its `on_error` decides, or else its workflow's.

Owns:   the words for `on_error` in a task, their meaning, and the faults in them.
Knows:  the graph by numbers, to find handlers in it; nothing of how a failure comes about.

A handler is a successor like any other in the graph. A task leads to its handlers only if it has
failed, and to all others only if it has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from .account import described
from .changes import exact, own
from .display import nearest, plain, shown
from .errors import Fault
from .findings import find_uncopied, is_mapping, type_of
from .guard import attempt
from .policy import ErrorPolicy
from .task_ends import more_than_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .account import RecordedError
    from .task_template import TaskTemplate

STOP: Final = "stop"
ABORT: Final = "abort"
WORDS: Final = (STOP, ABORT)
"""The values of `on_error` that are words."""

OUTPUT: Final = "output"
TO: Final = "to"
KEYS: Final = (OUTPUT, TO)
"""The keys of `on_error`, of which an object has one."""

_HOW: Final = """write "stop", "abort", {"output": {...}} or {"to": ["x"]}"""


class Graph(Protocol):
    """The graph of a template by numbers."""

    tasks: tuple[TaskTemplate, ...]
    successors: tuple[tuple[int, ...], ...]


class Handled(NamedTuple):
    """A failure that the template provides for: the run goes on from it.

    Attributes:
        data: What the successors receive: the output of the task from now on.
        leads_to: The numbers of the successors; None for those that the task has chosen.
    """

    data: dict[str, Any]
    leads_to: tuple[int, ...] | None


def handles_errors(task: TaskTemplate) -> bool:
    """Return whether the run goes on from a task that has failed."""
    return is_mapping(task._on_error)


def gives_output(task: TaskTemplate) -> bool:
    """Return whether a task that has failed has an output all the same."""
    return OUTPUT in _words(task)


def has_handlers(task: TaskTemplate) -> bool:
    """Return whether some successors of a task are there for its failure alone."""
    return TO in _words(task)


def aborts(task: TaskTemplate, template_says: ErrorPolicy) -> bool:
    """Return whether the run ends when a task has failed, and the run does not go on from it."""
    if task._on_error is None:
        return template_says is ErrorPolicy.ABORT
    return bool(exact(task._on_error) == ABORT)


def after_failure(
    shape: Graph, number: int, inputs: Any, error: BaseException, attempts: int
) -> Handled:
    """Return what a failed task leads to whose template provides for that.

    Args:
        shape: The graph.
        number: The number of the task.
        inputs: What the task was given.
        error: What it has failed with.
        attempts: How often it was run.
    """
    task = shape.tasks[number]
    words = _words(task)
    if OUTPUT in words:
        return Handled(own(words[OUTPUT]), None)
    account = described(error)
    told = {"task": task.uid, "type": account["type"], "message": account["message"]}
    told["attempts"] = attempts
    # What a run is started with need not be a dict, or may be of a user's class.
    data, problem = attempt(dict.copy, inputs)
    known: dict[str, Any] = {} if problem is not None else data
    return Handled({**known, "error": told}, _numbers(shape, number, handlers=True))


def handled_in(error: RecordedError, uid: str) -> RecordedError:
    """Return the part of what a report tells of a task that its run has gone on from.

    It comes last, after what went wrong beside it.
    """
    several = error.leaves and error.message.startswith(more_than_once(uid))
    return error.leaves[-1] if several else error


def without_handlers(shape: Graph, number: int) -> tuple[int, ...]:
    """Return the successors of a task that are no handlers of its failure."""
    return _numbers(shape, number, handlers=False)


def _words(task: TaskTemplate) -> Mapping[Any, Any]:
    words = task._on_error
    return words if is_mapping(words) else {}


def _numbers(shape: Graph, number: int, *, handlers: bool) -> tuple[int, ...]:
    ids = set(map(exact, _words(shape.tasks[number])[TO]))
    return tuple(
        one for one in shape.successors[number] if (shape.tasks[one].uid in ids) is handlers
    )


def find_on_error_faults(path: str, value: Any) -> Iterator[Fault]:
    """Yield the faults in `on_error` of a task that concern the task alone.

    Args:
        path: The path of the key in its document.
        value: What the document has there.
    """
    words = exact(value)
    if words is None or (isinstance(words, str) and words in WORDS):
        return
    if is_mapping(words):
        yield from _faults_of_object(path, words)
    elif not isinstance(words, str):
        problem = f"must be a word or an object, not {type_of(words)} {shown(words)}"
        yield Fault(path, problem, _HOW, TypeError)
    elif words == ErrorPolicy.CONTINUE.value:
        advice = 'write "stop" to end this branch, or {"output": {}} to go on without a result'
        yield Fault(path, "'continue' could mean either to a task", advice)
    else:
        problem = f"{shown(words)} is not one of {', '.join(WORDS)}"
        yield Fault(path, problem, nearest(words, WORDS))


def _faults_of_object(path: str, words: Mapping[Any, Any]) -> Iterator[Fault]:
    known = [key for key in words if exact(key) in KEYS]
    for key in words:
        if exact(key) not in KEYS:
            yield Fault(f"{path}.{plain(key)}", "unknown key", nearest(key, KEYS))
    if len(known) != 1 and len(known) == len(words):
        problem = f"has {' and '.join(map(repr, KEYS))}" if known else "says nothing"
        yield Fault(path, problem, 'give one of "output" and "to"')
    if OUTPUT in words:
        output = words[OUTPUT]
        if not isinstance(output, dict):
            problem = f"must be an object, not {type_of(output)}"
            yield Fault(f"{path}.output", problem, "it is what the successors receive", TypeError)
        else:
            yield from find_uncopied(f"{path}.output", output)
    if TO in words:
        yield from _faults_of_handlers(f"{path}.to", words[TO])


def _faults_of_handlers(path: str, ids: Any) -> Iterator[Fault]:
    if not isinstance(ids, list | tuple):
        problem = f"must be a list of task ids, not {type_of(ids)}"
        yield Fault(path, problem, 'write ["x"], or [] to stop here', TypeError)
        return
    for place, uid in enumerate(ids):
        if not isinstance(uid, str):
            problem = f"must be a task id, not {type_of(uid)}"
            yield Fault(f"{path}[{place}]", problem, "name a successor", TypeError)


def find_handler_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each handler that its task does not lead to.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
    """
    for number, task in enumerate(document["tasks"]):
        words = task.get("on_error")
        ids = words.get(TO) if is_mapping(words) else None
        if not isinstance(ids, list | tuple):
            continue
        successors = document["graph"].get(task["id"], [])
        for place, uid in enumerate(ids):
            if isinstance(uid, str) and exact(uid) not in successors:
                problem = f"{shown(uid)} is not among the successors of {shown(task['id'])}"
                advice = nearest(uid, successors)
                if not successors:
                    advice = "link the handler to it in 'graph'"
                yield Fault(f"tasks[{number}].on_error.to[{place}]", problem, advice)
