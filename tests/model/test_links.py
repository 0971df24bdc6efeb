"""G12: what only follows from a fault is no fault of its own; what does not is listed with it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings, strategies as st

from support.hostile import examples
from support.strategies import any_documents, graphs
from tukio._model.dag import DAG
from tukio._model.links import Links
from tukio._model.validation import find_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.strategies import Graph

KNOWN = {"fetch": (None, None)}


def document(graph: Graph) -> dict[str, Any]:
    """Return a sound document with the tasks and the links of a graph."""
    tasks = [{"id": uid, "name": "fetch", "timeout": 5} for uid in graph]
    return {"id": "w", "tasks": tasks, "graph": {uid: [*downs] for uid, downs in graph.items()}}


def found(given: Mapping[str, Any]) -> list[str]:
    """Return the faults of a document that must be ready to run."""
    return [str(fault) for fault in find_faults(given, complete=True, known=KNOWN)]


# One mistake


def rename(spoilt: dict[str, Any], key: str, other: str) -> None:
    """Give what is under a key another key."""
    spoilt[other] = spoilt.pop(key)


def link_back(spoilt: dict[str, Any], uid: str) -> None:
    """Close a circle: the task leads to itself."""
    spoilt["graph"][uid].append(uid)


def unlink(spoilt: dict[str, Any], uid: str) -> None:
    """Make a task a root."""
    roots = DAG[str].from_dict(spoilt["graph"]).root_nodes()
    assume(uid not in roots)
    for downs in spoilt["graph"].values():
        downs[:] = [down for down in downs if down != uid]


def mistype(spoilt: dict[str, Any], uid: str) -> None:
    """Link a task by another id, everywhere but where it leads to others."""
    for downs in spoilt["graph"].values():
        downs[:] = ["x" if down == uid else down for down in downs]
    assume(sum("x" in downs for downs in spoilt["graph"].values()) == 1)


def of_task(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any], str], object]:
    """Return a mistake in the mapping of one task."""
    return lambda spoilt, uid: change(next(task for task in spoilt["tasks"] if task["id"] == uid))


def twin(spoilt: dict[str, Any], uid: str) -> None:
    """Give a task the id of another one."""
    others = [task for task in spoilt["tasks"] if task["id"] != uid]
    assume(others)
    others[0]["id"] = uid


def replaced(what: Any) -> Callable[[dict[str, Any], str], object]:
    """Return the mistake of writing something else for the mapping of a task."""

    def change(spoilt: dict[str, Any], uid: str) -> None:
        spoilt["tasks"] = [(what or uid) if task["id"] == uid else task for task in spoilt["tasks"]]

    return change


def one_successor(spoilt: dict[str, Any], uid: str) -> None:
    """Write one successor without a list."""
    assume(len(spoilt["graph"][uid]) == 1)
    spoilt["graph"][uid] = spoilt["graph"][uid][0]


MISTAKES: dict[str, Callable[[dict[str, Any], str], object]] = {
    "tasks misspelt": lambda spoilt, _: rename(spoilt, "tasks", "tsaks"),
    "tasks under another key": lambda spoilt, _: rename(spoilt, "tasks", "steps"),
    "no tasks": lambda spoilt, _: spoilt.pop("tasks"),
    "empty tasks": lambda spoilt, _: spoilt["tasks"].clear(),
    "null tasks": lambda spoilt, _: spoilt.update(tasks=None),
    "tasks by id": lambda spoilt, _: spoilt.update(tasks={t["id"]: t for t in spoilt["tasks"]}),
    "graph misspelt": lambda spoilt, _: rename(spoilt, "graph", "grraph"),
    "null graph": lambda spoilt, _: spoilt.update(graph=None),
    "graph of pairs": lambda spoilt, _: spoilt.update(graph=[*spoilt["graph"].items()]),
    "graph misspelt, and null": lambda spoilt, _: (spoilt.pop("graph"), spoilt.update(grraph=None)),
    "join misspelt": of_task(
        lambda task: task.update({"jion": "settled", "collect": "merge"}),
    ),
    "id misspelt": of_task(lambda task: rename(task, "id", "di")),
    "name misspelt": of_task(lambda task: rename(task, "name", "naem")),
    "no name": of_task(lambda task: task.pop("name")),
    "name no task has": of_task(lambda task: task.update(name="other")),
    "name that is a list": of_task(lambda task: task.update(name=["fetch"])),
    "id that is a list": of_task(lambda task: task.update(id=["a"])),
    "task by its id": replaced(None),
    "task that is a list": replaced(["fetch"]),
    "same id": twin,
    "unknown id": mistype,
    "unknown id upstream": lambda spoilt, _: spoilt["graph"].update(x=[]),
    "circle": link_back,
    "two roots": unlink,
    "one successor": one_successor,
    "null successors": lambda spoilt, uid: [
        assume(not spoilt["graph"][uid]),
        spoilt["graph"].update({uid: None}),
    ],
    "a number of successors": lambda spoilt, uid: spoilt["graph"].update({uid: 2}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@settings(max_examples=examples(30))
@given(graphs(rooted=True), st.data())
def test_g12_one_mistake_is_one_fault(mistake: str, graph: Graph, data: st.DataObject) -> None:
    """Whatever follows from it: roots, unknown ids, names that cannot be looked up."""
    spoilt = document(graph)
    assert found(spoilt) == []
    MISTAKES[mistake](spoilt, data.draw(st.sampled_from([*graph])))
    faults = found(spoilt)
    assert len(faults) == 1, faults


@given(graphs(rooted=True), st.data())
def test_g12_mistakes_in_different_places_are_all_told(graph: Graph, data: st.DataObject) -> None:
    """Nothing that is told becomes untrue when another of them is mended."""
    spoilt = document(graph) | {"timeout": -1, "poolicy": "skip"}
    uid = data.draw(st.sampled_from([*graph]))
    link_back(spoilt, uid)
    spoilt["graph"]["x"] = "y"
    of_task(lambda task: task.update(name="other", timeout="5"))(spoilt, uid)
    place = [*graph].index(uid)
    paths = [fault.path for fault in find_faults(spoilt, complete=True, known=KNOWN)]
    assert paths == [
        "timeout",
        "poolicy",
        f"tasks[{place}].timeout",
        "graph.x",
        "graph.x",
        "graph.x",
        "graph",
        f"tasks[{place}].name",
    ]


# Several


@pytest.mark.parametrize(
    ("wrong", "faults"),
    [
        (
            {
                "tasks": [{"id": 1, "name": "fetch"}, {"id": 2, "name": "fetch"}],
                "graph": {"1": [2]},
            },
            [
                "tasks[0].id: must be a string, not int; quote it",
                "tasks[1].id: must be a string, not int; quote it",
                "graph.1[0]: unknown task 2; did you mean '2'?",
            ],
        ),
        (
            {"tasks": ["a", "b"], "graph": {"a": ["b"], "b": ["a"]}},
            [
                "tasks[0]: a task is a mapping, not str; give it at least a 'name'",
                "tasks[1]: a task is a mapping, not str; give it at least a 'name'",
                "graph: not acyclic: a -> b -> a; remove one of these edges",
            ],
        ),
        (
            {
                "tasks": [{"id": uid, "name": "fetch"} for uid in ("a", "b", "b")],
                "graph": {"a": ["b"], "b": ["c"], "d": []},
            },
            [
                (
                    "tasks[2].id: duplicate task id 'b', also at tasks[1];"
                    " give each task an id of its own"
                ),
                "graph.b[0]: unknown task 'c'; known: a, b",
                "graph.d: unknown task 'd'; known: a, b",
            ],
        ),
        (
            {
                "tasks": [{"id": uid, "name": "fetch"} for uid in "abcd"],
                "graph": {"b": ["c"], "c": ["b"]},
            },
            [
                "graph: not acyclic: b -> c -> b; remove one of these edges",
                (
                    "graph: expected one root task, found 2 (a, d);"
                    " a workflow starts at the single task that no other task leads to"
                ),
            ],
        ),
        (
            {"tasks": [{"name": "fetch"}, {"id": "b", "name": "fetch"}], "graph": {"fetch": ["b"]}},
            [
                (
                    "graph.fetch: unknown task 'fetch';"
                    " give tasks[0], which has this name, an 'id' as well"
                )
            ],
        ),
        (
            {"tasks": [{"id": uid, "name": "fetch"} for uid in "abb"], "graph": {"a": None}},
            [
                (
                    "tasks[2].id: duplicate task id 'b', also at tasks[1];"
                    " give each task an id of its own"
                ),
                'graph.a: must be a list of task ids, not null; write ["f2", ...]',
                (
                    "graph: expected one root task, found 2 (a, b);"
                    " a workflow starts at the single task that no other task leads to"
                ),
            ],
        ),
        (
            {"tasks": [], "graph": {5: ["a"]}},
            [
                "tasks: missing; give a list of tasks",
                "graph.5: unknown task 5; none is known yet",
            ],
        ),
        (
            {"graph": {"a": [["b"]]}},
            [
                "tasks: missing; give a list of tasks",
                "graph.a[0]: unknown task ['b']; none is known yet",
            ],
        ),
    ],
    ids=[
        "numbers",
        "texts",
        "one twin, two strangers",
        "circle and roots",
        "no id",
        "no links",
        "no tasks",
        "nor ids",
    ],
)
def test_g12_faults_that_do_not_follow_from_each_other(
    wrong: dict[str, Any], faults: list[str]
) -> None:
    """Each is to be mended, whatever becomes of the others."""
    assert found(wrong) in (
        faults,
        # Which task a circle begins with is left to the search.
        [fault.replace("a -> b -> a", "b -> a -> b") for fault in faults],
        [fault.replace("b -> c -> b", "c -> b -> c") for fault in faults],
    )


@given(any_documents)
def test_g12_links_of_any_document_can_be_read(wrong: Any) -> None:
    """They never fail, and leave the document as it was."""
    given_ = wrong if isinstance(wrong, dict) else {"tasks": wrong, "graph": wrong}
    before = deepcopy(given_)
    links = Links(given_)
    assert len(links.faults) <= 101
    assert len([*links.find_root_faults()]) <= 1
    assert repr(given_) == repr(before)
