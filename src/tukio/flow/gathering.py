"""What some chains say together: tasks and links, and where in the code each task is said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final

from .._model.candidate import place_of
from .._model.display import shown
from .._model.errors import DAGValidationError, Fault, WorkflowRootTaskError
from .._model.fan_in import JOIN_TASK
from .._model.findings import is_mapping
from .._model.registry import REGISTRY
from .chain import Node, as_chain
from .keys import given

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._model.registry import Registry

_NUMBER: Final = re.compile(r"tasks\[(\d+)\]")
MOST_PLACES: Final = 10
"""The largest number of tasks whose places one fault has."""

_AGAIN: Final = "a task that comes twice in a workflow needs an id of its own: of(id='...')"


class Gathered:
    """The tasks and links of some chains.

    Attributes:
        nodes: The tasks by id, in the order they come.
        faults: Faults of the chains themselves: two tasks of one id that are not alike.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.faults: list[Fault] = []
        # The first task that is known to be of a registry; all others must be of that one.
        self._first: Node | None = None
        # The id of a task -> the ids of those that follow, in the order they come.
        self._links: dict[str, dict[str, None]] = {}

    @property
    def registry(self) -> Registry | None:
        """The registry of the tasks; None is that of the process."""
        found = None if self._first is None else self._first.registry
        return None if found is REGISTRY else found

    def add(self, node: Node) -> None:
        """Take a task; one that is known must be alike.

        Raises:
            TypeError: It is of another registry than those before.
        """
        known = self.nodes.setdefault(node.uid, node)
        if not known.is_like(node):
            place = _told((*known.places, *node.places))
            problem = f"two tasks are called {shown(node.uid)}, and are not alike"
            advice = "give one of them an id of its own: of(id='...')"
            self.faults.append(Fault("tasks", problem, advice, place=place))
        if node.registry is None:
            return
        self._first = self._first or node
        if self._first.registry is not node.registry:
            one, other = shown(self._first.uid), shown(node.uid)
            problem = f"tasks {one} and {other} are in two registries, and an engine has one"
            msg = f"{problem} - register both in one"
            raise TypeError(msg)

    def link(self, upstream: Node, downstream: Node) -> None:
        """Take a link."""
        self._links.setdefault(upstream.uid, {})[downstream.uid] = None

    @property
    def places(self) -> dict[str, str]:
        """The id of each task -> where it is said."""
        return {uid: _told(node.places) for uid, node in self.nodes.items()}

    def document(self, defaults: Any = None) -> dict[str, Any]:
        """Return `tasks` and `graph` as in the dict form of a template.

        What new users expect is written out where nothing is said.

        Args:
            defaults: What the workflow says for its tasks; of any kind, as it may have faults.
        """
        taken: Mapping[Any, Any] = defaults if is_mapping(defaults) else {}
        parents: dict[str, int] = {}
        for downstream in self._links.values():
            for uid in downstream:
                parents[uid] = parents.get(uid, 0) + 1
        tasks = [
            _written_out(node.document, parents.get(uid, 0), taken)
            for uid, node in self.nodes.items()
        ]
        graph = {uid: list(self._links.get(uid, ())) for uid in self.nodes}
        return {"tasks": tasks, "graph": graph}


def gather(chains: Sequence[Any]) -> Gathered:
    """Return what some chains say together.

    Raises:
        TypeError: There is no chain, or something else, or tasks of several registries.
    """
    if not chains:
        msg = "a flow has at least one task - write flow('id', first >> second)"
        raise TypeError(msg)
    gathered = Gathered()
    for given_chain in chains:
        chain = as_chain(given_chain)
        if chain is None:
            msg = (
                f"expected a chain of tasks, not {place_of(given_chain)} - write flow('id', a >> b)"
            )
            raise TypeError(msg)
        for one in chain.walk():
            if isinstance(one, Node):
                gathered.add(one)
            else:
                gathered.link(*one)
    return gathered


def placed(
    faults: Iterable[Fault],
    ids: Iterable[str],
    places: Mapping[str, str],
    graph: Mapping[str, Iterable[str]],
) -> list[Fault]:
    """Return faults of a document with the places of the tasks that they are about.

    Args:
        faults: The faults.
        ids: The ids of the tasks, in the order of the document.
        places: The id of a task -> where it is said.
        graph: The id of a task -> the ids of those that follow.
    """
    order = list(ids)
    found: list[Fault] = []
    for fault in faults:
        number = _NUMBER.match(fault.path)
        about = _in_graph(fault, order, graph) if number is None else [order[int(number[1])]]
        place = _told(places.get(uid, "") for uid in about)
        advice = _AGAIN if fault.kind is DAGValidationError else fault.advice
        found.append(fault._replace(place=place, advice=advice))
    return found


def _in_graph(fault: Fault, order: list[str], graph: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """Return the ids of the tasks that a fault of the graph as a whole is about."""
    if fault.kind is WorkflowRootTaskError:
        led_to = {uid for downs in graph.values() for uid in downs}
        return [uid for uid in order if uid not in led_to][:MOST_PLACES]
    if fault.kind is DAGValidationError:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return list(dict.fromkeys(error.args[1]))[:MOST_PLACES]
    return []


def _written_out(
    document: dict[str, Any], parents: int, defaults: Mapping[Any, Any]
) -> dict[str, Any]:
    """Return a task that says for which parents it waits, and what follows at its limit."""
    said: dict[str, Any] = {}
    if document.get("name") != JOIN_TASK:
        # That waits for its parents itself, and goes on at its limit with those that have come.
        if parents > 1:
            said["join"] = "all"
        words = document.get("map")
        item = words.get("timeout") if isinstance(words, Mapping) else None
        limits = [item, *(_either(document, defaults, key) for key in ("timeout", "idle_timeout"))]
        if any(limits) and defaults.get("on_timeout") is None:
            said["on_timeout"] = "fail"
    return said | given(document)


def _either(document: Mapping[str, Any], defaults: Mapping[Any, Any], key: str) -> Any:
    """Return what a task says by a key, or else takes of the defaults."""
    value = document.get(key)
    return defaults.get(key) if value is None else value


def _told(places: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, places)))
