"""What graphs of tukio 1.1.2 can do is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tukio.dag import DAG, DAGValidationError

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_graph_answers() -> None:
    """About nodes, edges, leaves and roots."""
    dag: DAG[str] = DAG()
    for node in "abc":
        dag.add_node(node)
    dag.add_edge("a", "b")
    dag.add_edge("a", "c")
    dag.add_edge("b", "c")
    assert {node: set(after) for node, after in dag.graph.items()} == {
        "a": {"b", "c"},
        "b": {"c"},
        "c": set(),
    }
    assert sorted(dag.predecessors("c")) == ["a", "b"]
    assert sorted(dag.successors("a")) == ["b", "c"]
    assert sorted(dag.edges()) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert (dag.leaves(), dag.root_nodes()) == (["c"], ["a"])
    dag.delete_edge("a", "c")
    assert dag.successors("a") == ["b"]
    dag.delete_node("b")
    assert (dag.edges(), sorted(dag.leaves())) == ([], ["a", "c"])


def test_a_graph_is_made_from_data() -> None:
    """Every node is a key."""
    dag = DAG.from_dict({"a": ["b"], "b": [], "alone": []})
    assert sorted(dag.edges()) == [("a", "b")]
    assert sorted(dag.root_nodes()) == ["a", "alone"]


def test_a_graph_without_cycle_is_valid() -> None:
    """Also one in pieces."""
    dag = DAG.from_dict({"a": ["b"], "b": [], "alone": []})
    assert dag.validate() == "graph is a valid DAG"
    assert dag.is_valid() is True
    dag.add_edge("b", "a")
    assert dag.is_valid() is False
    with pytest.raises(DAGValidationError, match="graph is not acyclic"):
        dag.validate()


@pytest.mark.parametrize(
    ("graph", "kind"),
    [
        ({"a": ("b",), "b": []}, TypeError),
        ({"a": "b", "b": []}, TypeError),
        ({"a": ["Z"]}, KeyError),
        ({"a": ["a"]}, DAGValidationError),
    ],
    ids=["tuple", "text", "unknown node", "cycle"],
)
def test_data_that_describes_no_graph_is_refused(graph: Any, kind: type[Exception]) -> None:
    """Successors are in lists, and are nodes themselves."""
    with pytest.raises(kind):
        DAG.from_dict(graph)


ABSENT: dict[str, Callable[[DAG[str]], object]] = {
    "delete_node": lambda dag: dag.delete_node("Z"),
    "add_edge to": lambda dag: dag.add_edge("a", "Z"),
    "add_edge from": lambda dag: dag.add_edge("Z", "a"),
    "delete_edge": lambda dag: dag.delete_edge("b", "a"),
    "predecessors": lambda dag: dag.predecessors("Z"),
    "successors": lambda dag: dag.successors("Z"),
}


@pytest.mark.parametrize("do", ABSENT.values(), ids=ABSENT)
def test_what_is_not_in_the_graph_is_a_key_error(do: Any) -> None:
    """A node is a ValueError when it is added again."""
    dag = DAG.from_dict({"a": ["b"], "b": []})
    with pytest.raises(KeyError):
        do(dag)
    with pytest.raises(ValueError, match="'a' already exists"):
        dag.add_node("a")


def test_a_copy_of_a_graph_is_changed_by_itself() -> None:
    """The original stays."""
    dag = DAG.from_dict({"a": ["b"], "b": []})
    copied = dag.copy()
    copied.delete_node("b")
    assert (copied.edges(), dag.edges()) == ([], [("a", "b")])
