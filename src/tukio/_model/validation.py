"""The validation of a template in its dict form, which finds all faults at once.

Owns:   the rules for a template document, and the messages about faults.
Knows:  documents, not template objects: an object is checked through its `as_dict()`.
Source: 1.x, which accepted many faults and failed later, or hung. The `kind` of a fault is the
        exception that 1.x raised, where it raised one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from copy import deepcopy
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeGuard

from .changes import exact
from .dag import DAG
from .display import MOST_NAMES, listed, nearest, plain, shown
from .errors import (
    DAGValidationError,
    Fault,
    TemplateGraphError,
    UnknownTaskName,
    WorkflowRootTaskError,
)
from .location import SCALARS
from .policy import ErrorPolicy, OverrunPolicy
from .size_limits import find_excess

if TYPE_CHECKING:
    import enum
    from collections.abc import Container, Iterable, Iterator

    Found = Iterator[Fault]

TASK_KEYS = frozenset({"name", "id", "config", "timeout", "topics"})
WORKFLOW_KEYS = frozenset(
    {"id", "policy", "topics", "timeout", "schema", "tasks", "graph", "title", "meta", "on_error"}
)

MOST_FAULTS = 100
"""The largest number of faults of one sort that are reported; further ones are only mentioned."""

LONGEST = sys.float_info.max
"""The longest finite time limit, in seconds; JSON can have integers that are beyond any float."""

ONE_ROOT = "a workflow starts at the single task that no other task leads to"


def find_faults(document: Any, *, complete: bool) -> list[Fault]:
    """Return all faults of a template document, in the order of the document.

    This ends soon for any document: a document that is too large is not checked further, and of
    very many faults only the first ones are reported.

    Args:
        document: The document, any object; it should be the dict form of a template.
        complete: Whether the template must be ready to run. If not, the number of root tasks is
            checked only if there are other faults.
    """
    if not isinstance(document, Mapping):
        problem = f"a template is a mapping, not {_type(document)}"
        return [Fault("", problem, "give it the keys 'tasks' and 'graph'", TypeError)]
    return find_excess(document) or _find_faults(document, complete=complete)


def find_all_faults(document: Mapping[str, Any], known: Mapping[Any, Any]) -> list[Fault]:
    """Return all faults of a template that must be ready to run.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
        known: The registered tasks by name: holder class (or None) and coroutine function.
    """
    if excess := find_excess(document):
        return excess
    return [
        *_find_faults(document, complete=True),
        *find_unknown_names(document, known),
        *find_config_faults(document, known),
    ]


def _find_faults(document: Mapping[str, Any], *, complete: bool) -> list[Fault]:
    tasks = document.get("tasks", [])
    dag = _known_tasks(tasks)
    # In this order, because `_graph` adds the edges that `_cycle` and `_roots` look at.
    faults = _first(
        chain(_header(document), _tasks(tasks), _graph(document.get("graph", {}), dag), _cycle(dag))
    )
    if complete or faults:
        faults += _roots(dag)
    return faults


def find_unknown_names(document: Mapping[str, Any], known: Mapping[Any, Any]) -> list[Fault]:
    """Return a fault for each task whose name is not among the known ones.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
        known: The registered tasks by name.
    """
    names = sorted(map(str, known))
    return _first(
        Fault(
            f"tasks[{number}].name",
            f"no task is registered as {shown(task['name'])}",
            nearest(task["name"], names),
            UnknownTaskName,
            (task["name"], names),
        )
        for number, task in enumerate(document["tasks"])
        if not _is_in(task["name"], known)
    )


def find_config_faults(document: Mapping[str, Any], known: Mapping[Any, Any]) -> list[Fault]:
    """Return the faults that holder classes find in the configs of their tasks.

    A holder class may have a static method `find_faults(config, parents)`, which yields for each
    fault the path within the config, the problem and the advice.

    Args:
        document: The dict form of a template, as its `as_dict` gives it.
        known: The registered tasks by name: holder class (or None) and coroutine function.
    """
    parents: dict[str, list[str]] = {}
    for upstream, downstream in document["graph"].items():
        for uid in downstream:
            parents.setdefault(uid, []).append(upstream)
    return _first(
        Fault(f"tasks[{number}].config{path}", problem, advice)
        for number, task in enumerate(document["tasks"])
        if _is_in(task["name"], known)
        for path, problem, advice in _check(
            known[task["name"]][0], task["config"], parents.get(task["id"], [])
        )
    )


def _check(holder: Any, config: Any, parents: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the faults that a holder class finds in a config; none if the class does not check."""
    check = getattr(holder, "find_faults", None)
    if check is None:
        return
    try:
        for path, problem, advice in check(config, parents):
            yield f".{path}", problem, advice
    except Exception as error:  # noqa: BLE001 - the method is the user's, and so is the config
        advice = f"mend the config, or {holder.__qualname__}.find_faults"
        yield "", f"cannot be checked: {shown(error)}", advice


def _first(faults: Iterable[Fault]) -> list[Fault]:
    """Return the first of some faults; further ones are not searched for."""
    found = list(islice(faults, MOST_FAULTS + 1))
    if len(found) > MOST_FAULTS:
        found[-1] = Fault("", f"more than {MOST_FAULTS} faults", "mend these, then look again")
    return found


def _header(document: Mapping[str, Any]) -> Found:
    yield from _text("id", document.get("id"))
    yield from _member("policy", document.get("policy"), OverrunPolicy)
    yield from _member("on_error", document.get("on_error"), ErrorPolicy)
    yield from _topics("topics", document.get("topics"))
    yield from _timeout("timeout", document.get("timeout"))
    schema = document.get("schema")
    if schema is not None and not (isinstance(schema, int) and not isinstance(schema, bool)):
        problem = f"must be an int, not {_type(schema)}"
        yield Fault("schema", problem, "leave it out for 1", TypeError)
    yield from _text("title", document.get("title"))
    yield from _data("meta", document.get("meta"))
    yield from _extra("", document, WORKFLOW_KEYS)


def _tasks(tasks: Any) -> Found:
    if not isinstance(tasks, list | tuple):
        yield Fault("tasks", f"must be a list, not {_type(tasks)}", "list the tasks", TypeError)
        return
    seen: dict[str, int] = {}
    for number, task in enumerate(tasks):
        path = f"tasks[{number}]"
        if not isinstance(task, Mapping):
            problem = f"a task is a mapping, not {_type(task)}"
            yield Fault(path, problem, "give it at least a 'name'", TypeError)
            continue
        yield from _task(path, task)
        uid = exact(task.get("id"))
        if _is_id(uid) and seen.setdefault(uid, number) != number:
            problem = f"duplicate task id {shown(uid)}, also at tasks[{seen[uid]}]"
            yield Fault(f"{path}.id", problem, "give each task an id of its own")


def _task(path: str, task: Mapping[str, Any]) -> Found:
    if "name" not in task:
        advice = "say which registered task it runs"
        yield Fault(f"{path}.name", "missing name", advice, KeyError)
    elif not _is_hashable(task["name"]):
        problem = f"must be a registered name, not {_type(task['name'])}"
        yield Fault(f"{path}.name", problem, "use a string", TypeError)
    else:
        yield from _data(f"{path}.name", task["name"])
    yield from _text(f"{path}.id", task.get("id"))
    yield from _topics(f"{path}.topics", task.get("topics"))
    yield from _timeout(f"{path}.timeout", task.get("timeout"))
    yield from _data(f"{path}.config", task.get("config"))
    yield from _extra(f"{path}.", task, TASK_KEYS)


def _extra(path: str, document: Mapping[str, Any], known: frozenset[str]) -> Found:
    for key in document:
        if key not in known:
            yield from _data(f"{path}{plain(key)}", document[key])


def _data(path: str, value: Any) -> Found:
    """Check that data of the user's own can be copied, because templates and runs have copies."""
    if type(value) in SCALARS or (type(value) is dict and not value):
        return
    try:
        deepcopy(value)
    except Exception as error:  # noqa: BLE001 - the value may be any object
        problem = f"cannot be copied: {shown(error)}"
        yield Fault(path, problem, "a template is made of plain data", TypeError)


def _text(path: str, value: Any) -> Found:
    if value is not None and not isinstance(value, str):
        yield Fault(path, f"must be a string, not {_type(value)}", "quote it", TypeError)


def _member(path: str, value: Any, choices: type[enum.Enum]) -> Found:
    allowed = [choice.value for choice in choices]
    if value is not None and not isinstance(value, choices) and value not in allowed:
        problem = f"{shown(value)} is not one of {', '.join(allowed)}"
        yield Fault(path, problem, nearest(value, allowed))


def _topics(path: str, value: Any) -> Found:
    if value is None:
        return
    if not isinstance(value, list):
        problem = f"must be a list of topics or null, not {_type(value)}"
        yield Fault(path, problem, "null is everything, [] is nothing", TypeError)
        return
    for number, topic in enumerate(value):
        where = f"{path}[{number}]"
        if topic is None:
            yield Fault(where, "a topic is a string, not null", "leave it out", TypeError)
        yield from _text(where, topic)


def _timeout(path: str, value: Any) -> Found:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = f"must be a number of seconds or null, not {_type(value)} {shown(value)}"
        yield Fault(path, problem, "null or 0 is no limit", TypeError)
    elif not 0 <= value <= LONGEST and value != math.inf:  # NaN is no limit either
        yield Fault(path, f"{shown(value)} is not a time limit", "null or 0 is no limit")


def _known_tasks(tasks: Any) -> DAG[Any]:
    """Return a graph of the task ids, without edges yet."""
    dag = DAG[Any]()
    for number, task in enumerate(tasks if isinstance(tasks, list | tuple) else ()):
        if isinstance(task, Mapping):
            uid = exact(task.get("id"))
            # A task without id gets one later: it cannot be linked, but it is a root task.
            dag.graph.setdefault(uid if _is_id(uid) else _Unnamed(f"tasks[{number}]"), {})
    return dag


class _Unnamed:
    """Stands for a task without id; never equal to a key of a graph."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return self._path


def _graph(graph: Any, dag: DAG[Any]) -> Found:
    if not isinstance(graph, Mapping):
        problem = f"must be a mapping of task id to list of task ids, not {_type(graph)}"
        yield Fault("graph", problem, 'write {"f1": ["f2"], ...}', TypeError)
        return
    ids = [uid for uid in dag.graph if _is_id(uid)]
    for given, downstream in graph.items():
        upstream = exact(given)
        path = f"graph.{plain(upstream)}"
        if not _is_in(upstream, dag.graph):
            yield _unknown(path, upstream, ids)
        # A collection, because an iterable that can be read only once would be empty after this.
        if isinstance(downstream, str) or not isinstance(downstream, Collection):
            problem = f"must be a list of task ids, not {_type(downstream)}"
            yield Fault(path, problem, 'write ["f2", ...]', TypeError)
            continue
        for number, uid in enumerate(map(exact, downstream)):
            if not _is_in(uid, dag.graph):
                yield _unknown(f"{path}[{number}]", uid, ids)
            elif _is_in(upstream, dag.graph):
                dag.add_edge(upstream, uid)


def _unknown(path: str, uid: Any, ids: list[str]) -> Fault:
    problem = f"unknown task {shown(uid)}"
    return Fault(path, problem, nearest(uid, ids), TemplateGraphError, (uid,))


def _cycle(dag: DAG[Any]) -> Found:
    if cycle := dag.cycle():
        some = [*map(plain, cycle[:MOST_NAMES])]
        if len(cycle) > MOST_NAMES:
            some[-2:] = ["...", plain(cycle[-1])]
        problem = f"not acyclic: {' -> '.join(some)}"
        yield Fault("graph", problem, "remove one of these edges", DAGValidationError)


def _roots(dag: DAG[Any]) -> Found:
    roots = dag.root_nodes()
    if len(roots) != 1:
        names = f" ({listed(roots)})" if roots else ""
        problem = f"expected one root task, found {len(roots)}{names}"
        yield Fault("graph", problem, ONE_ROOT, WorkflowRootTaskError, (len(roots),))


def _type(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and value != ""


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_in(value: Any, container: Container[Any]) -> bool:
    return _is_hashable(value) and value in container
