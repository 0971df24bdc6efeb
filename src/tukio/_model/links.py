"""How the tasks of a document are linked: their ids, the graph of them, and the single root.

Owns:   the faults of ids and links, and which of them only follow from others.

A fault that is there only until another one is mended is no fault of its own: a task that is linked
by a misspelt id is not a second root, and a task whose id cannot be read is not unknown. So ids are
read as they are meant, and what depends on links that are in doubt is not looked for. What is told
is to be mended, whatever else is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeGuard

from .changes import exact
from .dag import DAG
from .display import MOST_NAMES, listed, nearest, plain, shown
from .errors import DAGValidationError, Fault, TemplateGraphError, WorkflowRootTaskError
from .findings import first_of, is_hashable, is_in, is_mapping, type_of
from .keys import TASK_KEYS, WORKFLOW_KEYS, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator

    Found = Iterator[Fault]

ONE_ROOT: Final = "a workflow starts at the single task that no other task leads to"


class _Mention(NamedTuple):
    """Something in the graph that is no task, or no list of tasks.

    Attributes:
        path: Where it is.
        what: What is there.
        is_id: Whether the id of a task belongs there.
    """

    path: str
    what: Any
    is_id: bool


class _Unnamed:
    """Stands for a task without id; never equal to a key of a graph."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return self._path


class Links:
    """The tasks of a document, by the ids that are meant, and the links between them.

    Args:
        document: The document, a mapping of any content within the size limits.

    Attributes:
        faults: The faults of the graph, and that there are no tasks for it.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document: Mapping[str, Any] = document
        # Has all ids that the document has, whether or not there are such tasks.
        self._dag: DAG[Any] = DAG()
        # Id -> the path of its task.
        self._known: dict[str, str] = {}
        # Name -> the path of the task that has this name and no id.
        self._without_id: dict[str, str] = {}
        # The number of tasks whose ids are in doubt: each may be any that the graph names.
        self._doubtful: float = 0
        # Whether the graph has the links that are meant.
        self._is_certain: bool = True
        key = spelt(document, "tasks", WORKFLOW_KEYS)
        tasks: Any = document.get(key, ())
        is_list = isinstance(tasks, list | tuple)
        self._are_missing: bool = is_list and not tasks
        if is_list:
            for number, task in enumerate(tasks):
                self._read_task(f"{key}[{number}]", task)
        if self._are_missing or not is_list:
            self._doubtful = math.inf
        self.faults: list[Fault] = first_of(chain(self._read_graph(), self._find_cycle()))

    def find_root_faults(self) -> Found:
        """Yield a fault if there is not one root task, unless this may follow from other faults."""
        if self._are_missing and not self._dag.graph:
            yield self._missing(WorkflowRootTaskError, 0)
        # A cycle has no root: that is no other fault. If there are several all the same, it is.
        roots = self._dag.root_nodes()
        if self._is_certain and len(roots) > 1:
            problem = f"expected one root task, found {len(roots)} ({listed(roots)})"
            yield Fault("graph", problem, ONE_ROOT, WorkflowRootTaskError, (len(roots),))

    def _read_task(self, path: str, task: Any) -> None:
        """Add a task by the id that is meant: a number, or the task itself may stand for it."""
        uid = exact(task)
        if is_mapping(task):
            uid = exact(task.get(spelt(task, "id", TASK_KEYS)))
            if uid is None or (isinstance(uid, str) and not uid):
                # It gets an id later: it cannot be linked, but it is a root task.
                self._dag.add_node(_Unnamed(path))
                name = exact(task.get(spelt(task, "name", TASK_KEYS)))
                if is_id(name):
                    self._without_id.setdefault(name, path)
                return
        uid = _as_text(uid)
        if is_id(uid) and uid not in self._known:
            self._known[uid] = path
            self._dag.add_node(uid)
        else:
            self._doubtful += 1

    def _read_graph(self) -> Found:
        key = spelt(self._document, "graph", WORKFLOW_KEYS)
        graph = self._document.get(key, {})
        if not is_mapping(graph):
            self._is_certain = False
            if key == "graph":
                problem = f"must be a mapping of task id to list of task ids, not {type_of(graph)}"
                yield Fault(key, problem, 'write {"f1": ["f2"], ...}', TypeError)
            return
        mentions = [*self._read_links(key, graph)]
        strangers = dict.fromkeys(one.what for one in mentions if one.is_id and is_id(one.what))
        if self._are_missing and strangers:
            yield self._missing(TemplateGraphError, next(iter(strangers)))
        for path, what, is_uid in mentions:
            if not is_uid:
                problem = f"must be a list of task ids, not {type_of(what)}"
                yield Fault(path, problem, 'write ["f2", ...]', TypeError)
            elif not is_id(what) or len(strangers) > self._doubtful:
                yield self._unknown(path, what)

    def _read_links(self, key: str, graph: Mapping[Any, Any]) -> Iterator[_Mention]:
        """Add all links; yield what in the graph is wrong."""
        for given, downstream in graph.items():
            upstream = exact(given)
            path = f"{key}.{plain(upstream)}"
            if not self._has(upstream):
                yield _Mention(path, upstream, is_id=True)
            successors = self._meant_by(downstream)
            if successors is not downstream:
                yield _Mention(path, downstream, is_id=False)
            for place, uid in enumerate(map(exact, successors)):
                if not self._has(uid):
                    where = f"{path}[{place}]" if successors is downstream else path
                    yield _Mention(where, uid, is_id=True)
                if is_hashable(upstream) and is_hashable(uid):
                    self._dag.add_edge(_as_text(upstream), _as_text(uid))

    def _meant_by(self, downstream: Any) -> Collection[Any]:
        """Return the successors that something in the graph means: itself, if it is right."""
        if isinstance(downstream, str):
            return [downstream]
        # A collection, because an iterable that can be read only once would be empty then.
        if isinstance(downstream, Collection):
            return downstream
        self._is_certain &= downstream is None
        return []

    def _has(self, uid: Any) -> bool:
        """Return whether a task has an id; add it to the graph anyway."""
        if type(uid) is str and uid in self._known:
            return True
        text = _as_text(uid)
        if not is_in(text, self._known):
            self._is_certain = False
        if is_hashable(text):
            self._dag.graph.setdefault(text, {})
        return False

    def _unknown(self, path: str, uid: Any) -> Fault:
        advice = nearest(uid, list(self._known))
        if is_id(uid) and uid in self._without_id:
            advice = f"give {self._without_id[uid]}, which has this name, an 'id' as well"
        return Fault(path, f"unknown task {shown(uid)}", advice, TemplateGraphError, (uid,))

    def _missing(self, kind: type[Exception], fact: object) -> Fault:
        advice = "give a list of tasks"
        if (key := self._find_other_key()) is not None:
            advice += f"; is {shown(key)} meant to be it?"
        return Fault("tasks", "missing", advice, kind, (fact,))

    def _find_other_key(self) -> object:
        """Return the first key of the user's own with what may be tasks; None if there is none."""
        for key, value in self._document.items():
            parts = value.values() if isinstance(value, Mapping) else value
            may_be = isinstance(value, Mapping | list | tuple) and len(value) > 0
            if key not in WORKFLOW_KEYS and may_be and all(isinstance(x, Mapping) for x in parts):
                return key
        return None

    def _find_cycle(self) -> Found:
        if cycle := self._dag.cycle():
            some = [*map(plain, cycle[:MOST_NAMES])]
            if len(cycle) > MOST_NAMES:
                some[-2:] = ["...", plain(cycle[-1])]
            problem = f"not acyclic: {' -> '.join(some)}"
            yield Fault("graph", problem, "remove one of these edges", DAGValidationError)


def is_id(value: Any) -> TypeGuard[str]:
    """Return whether a value may be the id of a task."""
    return isinstance(value, str) and value != ""


def _as_text(uid: Any) -> Any:
    """Return an id as it is meant: a number stands for its text."""
    return plain(uid) if type(uid) is int else uid
