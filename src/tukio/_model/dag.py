"""Directed acyclic graphs that keep the order in which they were declared.

Owns:   nodes, edges, their order, and the search for a cycle.
Knows:  that nodes are hashable; nothing about tasks.
Source: `graphlib.TopologicalSorter` finds the cycle.
"""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from .errors import DAGValidationError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["DAG", "DAGValidationError"]

Node = TypeVar("Node", bound="Hashable")


class DAG(Generic[Node]):
    """A graph of hashable nodes; a node's successors keep the order of their edges.

    Attributes:
        graph: Node -> its successors, as keys of a dict (an ordered set). To read from only: change
            the graph through the methods.
        changes: The number of changes of the graph. Results that were computed from the graph are
            valid while this number stays the same.
    """

    __slots__ = ("changes", "graph")

    def __init__(self) -> None:
        self.graph: dict[Node, dict[Node, None]] = {}
        self.changes: int = 0

    @classmethod
    def from_dict(cls, graph: Mapping[Node, list[Node]]) -> Self:
        """Return the graph described by node -> list of its successors.

        Raises:
            TypeError: A value is not a list.
            KeyError: A successor is not a node, that is, not a key.
            DAGValidationError: There is a cycle.
        """
        dag = cls()
        for node in graph:
            dag.add_node(node)
        for node, successors in graph.items():
            if not isinstance(successors, list):
                msg = f"successors of {node!r} must be a list, not {type(successors).__name__}"
                raise TypeError(msg)
            for successor in successors:
                dag.add_edge(node, successor)
        dag.validate()
        return dag

    def add_node(self, node: Node) -> None:
        """Add a node without edges.

        Raises:
            ValueError: The node is in the graph already.
        """
        if node in self.graph:
            msg = f"node '{node}' already exists"
            raise ValueError(msg)
        self.graph[node] = {}
        self.changes += 1

    def delete_node(self, node: Node) -> None:
        """Remove a node and its edges.

        Raises:
            KeyError: The node is not in the graph.
        """
        self._check(node)
        del self.graph[node]
        self.changes += 1
        for successors in self.graph.values():
            successors.pop(node, None)

    def add_edge(self, predecessor: Node, successor: Node) -> None:
        """Add an edge, as the last one of `predecessor`; an existing edge keeps its position.

        Raises:
            KeyError: One of the nodes is not in the graph.
        """
        self._check(predecessor)
        self._check(successor)
        self.graph[predecessor][successor] = None
        self.changes += 1

    def delete_edge(self, predecessor: Node, successor: Node) -> None:
        """Remove an edge.

        Raises:
            KeyError: There is no such edge.
        """
        if successor not in self.graph.get(predecessor, ()):
            msg = f"there is no edge from '{predecessor}' to '{successor}'"
            raise KeyError(msg)
        del self.graph[predecessor][successor]
        self.changes += 1

    def predecessors(self, node: Node) -> list[Node]:
        """Return the nodes with an edge to `node`, in declared order.

        Raises:
            KeyError: `node` is not in the graph.
        """
        self._check(node)
        return [other for other, successors in self.graph.items() if node in successors]

    def successors(self, node: Node) -> list[Node]:
        """Return the nodes that `node` has an edge to, in declared order.

        Raises:
            KeyError: `node` is not in the graph.
        """
        self._check(node)
        return list(self.graph[node])

    def leaves(self) -> list[Node]:
        """Return the nodes without successor, in declared order."""
        return [node for node, successors in self.graph.items() if not successors]

    def root_nodes(self) -> list[Node]:
        """Return the nodes without predecessor, in declared order."""
        reached = {node for successors in self.graph.values() for node in successors}
        return [node for node in self.graph if node not in reached]

    def edges(self) -> list[tuple[Node, Node]]:
        """Return all edges, in declared order."""
        return [(node, next_) for node, successors in self.graph.items() for next_ in successors]

    def cycle(self) -> list[Node]:
        """Return the nodes of one cycle, first node again at the end; empty if there is none."""
        sorter = graphlib.TopologicalSorter[Node]()
        for node, successors in self.graph.items():
            sorter.add(node)
            for successor in successors:
                sorter.add(successor, node)
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            cycle: list[Node] = error.args[1]
            return cycle
        return []

    def validate(self) -> str:
        """Check that the graph has no cycle, and return a word of approval, as in 1.x.

        Raises:
            DAGValidationError: There is a cycle; the message names it node by node.
        """
        if cycle := self.cycle():
            path = " -> ".join(str(node) for node in cycle)
            msg = f"graph is not acyclic: {path} - remove one of these edges"
            raise DAGValidationError(msg)
        return "graph is a valid DAG"

    def is_valid(self) -> bool:
        """Return whether the graph has no cycle."""
        return not self.cycle()

    def copy(self) -> Self:
        """Return a graph of the same nodes that can be changed independently of this one.

        The nodes themselves are not copied.
        """
        dag = type(self)()
        dag.graph = {node: successors.copy() for node, successors in self.graph.items()}
        return dag

    def _check(self, node: Node) -> None:
        if node not in self.graph:
            msg = f"node '{node}' is not in the graph"
            raise KeyError(msg)
