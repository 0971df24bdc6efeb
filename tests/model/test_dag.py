"""Graphs that keep their declared order and name their cycles."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.strategies import graphs
from tukio.dag import DAG
from tukio.errors import DAGValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.strategies import Graph

DIAMOND = {"a": ["c", "b"], "b": ["d"], "c": ["d"], "d": []}


@given(graphs())
def test_a_graph_answers_as_it_was_declared(graph: Graph) -> None:
    """Successors start in declared order (G8), so every answer keeps it."""
    dag = DAG.from_dict(graph)
    edges = [(up, down) for up, downs in graph.items() for down in downs]
    assert list(dag.graph) == list(graph)
    assert dag.edges() == edges
    assert {node: dag.successors(node) for node in graph} == graph
    for node in graph:
        assert dag.predecessors(node) == [up for up, down in edges if down == node]
    assert dag.leaves() == [node for node in graph if not graph[node]]
    assert dag.root_nodes() == [node for node in graph if node not in {down for _, down in edges}]


@given(graphs())
def test_an_acyclic_graph_is_valid(graph: Graph) -> None:
    """Whatever its shape: no node, several roots, unlinked nodes."""
    dag = DAG.from_dict(graph)
    assert dag.cycle() == []
    assert dag.is_valid()
    assert dag.validate() == "graph is a valid DAG"


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from("abcd"))))
def test_a_graph_has_a_topological_order_or_a_cycle_that_can_be_walked(graph: Graph) -> None:
    """The cycle is a proof: each step of it is an edge, and it ends where it began."""
    dag: DAG[str] = DAG()
    for node in "abcd":
        dag.add_node(node)
    for node, successors in graph.items():
        for successor in successors:
            dag.add_edge(node, successor)
    cycle = dag.cycle()
    assert dag.is_valid() is (not cycle)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert set(pairwise(cycle)) <= set(dag.edges())
    else:
        left = dag.copy()
        while left.graph:
            assert left.leaves()
            left.delete_node(left.leaves()[0])


def test_a_cycle_is_named_node_by_node() -> None:
    """The reader can go and cut it."""
    with pytest.raises(DAGValidationError) as refusal:
        DAG.from_dict({"a": ["b"], "b": ["c"], "c": ["b"]})
    words = str(refusal.value)
    assert words in {
        f"graph is not acyclic: {path} - remove one of these edges"
        for path in ("b -> c -> b", "c -> b -> c")
    }


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    """The shortest one."""
    with pytest.raises(DAGValidationError, match="a -> a"):
        DAG.from_dict({"a": ["a"]})


def test_an_edge_that_is_there_keeps_its_place() -> None:
    """Declaring it twice does not move it last."""
    dag = DAG.from_dict({"a": ["b", "c", "b"], "b": [], "c": []})
    assert dag.successors("a") == ["b", "c"]


def test_a_deleted_node_takes_its_edges_along() -> None:
    """In both directions; the others stay in order."""
    dag = DAG.from_dict(DIAMOND)
    dag.delete_node("c")
    assert dag.edges() == [("a", "b"), ("b", "d")]
    assert list(dag.graph) == ["a", "b", "d"]


def test_a_deleted_edge_leaves_its_nodes() -> None:
    """Nothing else goes."""
    dag = DAG.from_dict(DIAMOND)
    dag.delete_edge("a", "c")
    assert dag.edges() == [("a", "b"), ("b", "d"), ("c", "d")]
    assert dag.root_nodes() == ["a", "c"]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda dag: dag.delete_node("z"), "node 'z' is not in the graph"),
        (lambda dag: dag.add_edge("a", "z"), "node 'z' is not in the graph"),
        (lambda dag: dag.add_edge("z", "a"), "node 'z' is not in the graph"),
        (lambda dag: dag.predecessors("z"), "node 'z' is not in the graph"),
        (lambda dag: dag.successors("z"), "node 'z' is not in the graph"),
        (lambda dag: dag.delete_edge("a", "d"), "there is no edge from 'a' to 'd'"),
        (lambda dag: dag.delete_edge("z", "a"), "there is no edge from 'z' to 'a'"),
    ],
    ids=["node", "edge to", "edge from", "predecessors", "successors", "no edge", "edge of none"],
)
def test_what_is_not_there_is_named_and_nothing_changes(
    act: Callable[[DAG[str]], object], words: str
) -> None:
    """A `KeyError`, as in 1.x."""
    dag = DAG.from_dict(DIAMOND)
    changes = dag.changes
    with pytest.raises(KeyError) as refusal:
        act(dag)
    assert refusal.value.args == (words,)
    assert {node: list(downs) for node, downs in dag.graph.items()} == DIAMOND
    assert dag.changes == changes


def test_a_node_cannot_be_added_twice() -> None:
    """It would lose its edges."""
    dag = DAG.from_dict(DIAMOND)
    with pytest.raises(ValueError, match="node 'a' already exists"):
        dag.add_node("a")
    assert dag.successors("a") == ["c", "b"]


def test_successors_that_are_no_list_are_refused() -> None:
    """A string would be taken for its letters."""
    graph: Any = {"a": "b", "b": []}
    with pytest.raises(TypeError, match="successors of 'a' must be a list, not str"):
        DAG.from_dict(graph)


def test_a_successor_that_is_no_node_is_refused() -> None:
    """A node is declared by being a key."""
    with pytest.raises(KeyError, match="node 'b' is not in the graph"):
        DAG.from_dict({"a": ["b"]})


def test_a_copy_has_the_same_nodes_and_edges_of_its_own() -> None:
    """1.x copied the nodes as well, and nobody could find them again."""
    node = object()
    dag = DAG[object]()
    dag.add_node(node)
    twin = dag.copy()
    twin.add_edge(node, node)
    twin.add_node("new")
    assert next(iter(twin.graph)) is node
    assert dag.edges() == []
    assert list(dag.graph) == [node]


@pytest.mark.parametrize(
    "change",
    [
        lambda dag: dag.add_node("e"),
        lambda dag: dag.delete_node("d"),
        lambda dag: dag.add_edge("a", "d"),
        lambda dag: dag.delete_edge("a", "b"),
    ],
    ids=["add_node", "delete_node", "add_edge", "delete_edge"],
)
def test_every_change_is_counted(change: Callable[[DAG[str]], object]) -> None:
    """What is computed from a graph is thrown away when it has changed since."""
    dag = DAG.from_dict(DIAMOND)
    before = dag.changes
    change(dag)
    assert dag.changes > before
