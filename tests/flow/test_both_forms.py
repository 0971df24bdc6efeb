"""Code form and data form are one model: equal documents, events and reports on every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

import tukio
from tukio._model.registry import Registry
from tukio.flow import Chain, Flow, flow, named, task as registered
from tukio.testing import BACKENDS, run
from tukio.testing.strategies import dags, workflow_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DrawFn

    from support.flow import Tasks

Graph = dict[str, list[str]]

OURS = ("id", "name")


@st.composite
def said(draw: DrawFn, graph: Graph, tasks: dict[str, Chain[Any, Any]]) -> list[Chain[Any, Any]]:
    """Draw chains that say a graph: of each task with what follows it, alone or joined up.

    The order of successors is that of the graph, and so is that of the tasks, as far as chains can
    say it: each task comes when it is first named.
    """
    chains: list[Chain[Any, Any]] = []
    for uid, downs in graph.items():
        if not downs:
            continue
        match draw(st.sampled_from(["one by one", "tuple", "list", "reflected"])):
            case "one by one":
                chains += [tasks[uid] >> tasks[down] for down in downs]
            case "tuple":
                chains.append(tasks[uid] >> tuple(tasks[down] for down in downs))
            case "list":
                chains.append(tasks[uid] >> [tasks[down] for down in downs])
            case _:
                chains += [(tasks[uid],) >> tasks[down] for down in downs]
    return chains or list(tasks.values())


def in_order(graph: Graph) -> Graph:
    """Return a graph with its tasks in the order in which chains name them, from the root on."""
    [root] = set(graph) - {down for downs in graph.values() for down in downs}
    order = {root: None}
    for uid in order_of(graph, root):
        order[uid] = None
    return {uid: graph[uid] for uid in order}


def order_of(graph: Graph, root: str) -> Iterator[str]:
    """Yield the tasks of a graph, each after one that leads to it."""
    pending, met = [root], set[str]()
    while pending:
        uid = pending.pop(0)
        if uid not in met:
            met.add(uid)
            yield uid
            pending += graph[uid]


def links(document: dict[str, Any]) -> Graph:
    """Return the graph of a document, whatever the order of its tasks."""
    return {uid: document["graph"][uid] for uid in sorted(document["graph"])}


@given(st.data(), dags())
def test_chains_say_any_graph(data: st.DataObject, graph: Graph) -> None:
    """Each link, with the successors of each task in their order."""
    tasks: dict[str, Chain[Any, Any]] = {uid: named(uid) for uid in graph}
    document = flow("x", *data.draw(said(in_order(graph), tasks))).as_dict()
    assert links(document) == {uid: graph[uid] for uid in sorted(graph)}
    parents = {uid: [up for up in graph if uid in graph[up]] for uid in graph}
    for task in document["tasks"]:
        assert task.get("join") == ("all" if len(parents[task["id"]]) > 1 else None)


def is_limited(task: dict[str, Any], defaults: dict[str, Any]) -> bool:
    """Say whether a task has a limit, and nothing says what follows."""
    limits = [task.get(key, defaults.get(key)) for key in ("timeout", "idle_timeout")]
    return any(limits) and "on_timeout" not in defaults


def chain_of(task: dict[str, Any]) -> Chain[Any, Any]:
    """Return a task of a document, in code form; one that is a workflow is written out in it."""
    keys = {key: value for key, value in task.items() if key not in OURS}
    if "workflow" not in task:
        return named(task["name"], id=task["id"], **keys)
    inner: Any = Flow.from_dict(keys.pop("workflow"))
    task["workflow"] = inner.as_dict()
    made: Chain[Any, Any] = inner.of(id=task["id"], **keys)
    return made


@given(st.data(), workflow_templates())
def test_flows_say_any_template(data: st.DataObject, template: dict[str, Any]) -> None:
    """Each key of it, where nothing is left to be written out."""
    template = {**template, "graph": in_order(template["graph"])}
    parents = [down for downs in template["graph"].values() for down in downs]
    tasks: dict[str, Chain[Any, Any]] = {}
    defaults = template.get("defaults") or {}
    for task in template["tasks"]:
        item = (task.get("map") or {}).get("timeout")
        if item or is_limited(task, defaults):
            task.setdefault("on_timeout", "continue")
        if parents.count(task["id"]) > 1 and task.get("name") != "join":
            task.setdefault("join", "first")
        tasks[task["id"]] = chain_of(task)
    left_out = {"id", "tasks", "graph"}
    # `finally` is no name in Python.
    names = {key: "finally_" if key == "finally" else key for key in template}
    keys = {names[key]: template[key] for key in template if key not in left_out}
    whole = flow(template["id"], *data.draw(said(template["graph"], tasks)), **keys)
    expected = tukio.WorkflowTemplate.from_dict(template).as_dict()
    found = whole.as_dict()
    for document in (expected, found):
        document["tasks"].sort(key=lambda task: task["id"])
        document["graph"] = links(document)
    assert found == expected
    assert tukio.WorkflowTemplate.from_dict(found).as_dict() == found


DOCUMENT = {
    "id": "diamond",
    "policy": "start-new",
    "topics": None,
    "timeout": 30,
    "tasks": [
        {"id": "get", "name": "work", "timeout": 5, "on_timeout": "fail"},
        {"id": "left", "name": "work"},
        {"id": "right", "name": "slow", "timeout": 1.5, "on_timeout": "continue"},
        {"id": "end", "name": "work", "join": "all", "collect": "all"},
    ],
    "graph": {"get": ["left", "right"], "left": ["end"], "right": ["end"], "end": []},
}


def diamond() -> tukio.WorkflowTemplate:
    """Return the same as the document, in code form."""
    get = named("work", id="get", timeout=5)
    left, right = (
        named("work", id="left"),
        named("slow", id="right", timeout=1.5, on_timeout="continue"),
    )
    return flow(
        "diamond", get >> (left, right) >> named("work", id="end", collect="all"), timeout=30
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_forms_do_the_same(backend: str, task: Tasks) -> None:
    """Their events, with instants and contents, and their reports are equal."""
    import anyio

    @task
    async def work(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(1)
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(9)

    async def story(template: Any) -> tuple[list[Any], Any]:
        async with tukio.Engine() as engine:
            begun = anyio.current_time()
            one = await engine.start(template, {"n": 1}, id="the same")
            events = [
                (
                    event.data["type"],
                    event.source.task_template_id,
                    event.data["content"],
                    anyio.current_time() - begun,
                )
                async for event in one.events()
            ]
        return events, without_ids(one.report())

    assert diamond().as_dict() == tukio.WorkflowTemplate.from_dict(DOCUMENT).as_dict()
    found = run(lambda: both(story), backend=backend)
    assert found[0] == found[1]
    assert [kind for kind, *_ in found[0][0]].count("task-end") == 3


async def both(story: Any) -> list[Any]:
    """Return the stories of both forms."""
    return [await story(diamond()), await story(DOCUMENT)]


def without_ids(report: dict[str, Any]) -> Any:
    """Return a report without what is another in each run: ids and times of the clock."""
    tasks = [
        {**one, "exec": {key: one["exec"][key] for key in ("state", "inputs", "outputs")}}
        for one in report["tasks"]
    ]
    return {**report, "tasks": tasks, "exec": report["exec"]["state"]}


def test_tasks_that_undo_others_and_come_last(registry: Registry) -> None:
    """In code a task stands for itself, with what it says; as data it is its name."""

    @registered(registry=registry)
    async def refund(event: tukio.Event) -> None: ...

    @registered(registry=registry, compensate=refund)
    async def book(event: tukio.Event) -> None: ...

    @registered(registry=registry, compensate=refund.of(timeout=20), on_error={"to": ["refund"]})
    async def pay(event: tukio.Event) -> None: ...

    order = flow(
        "order",
        book >> pay >> refund,
        finally_=[refund.of(id="last"), {"name": "refund", "id": "very last"}],
        closing_timeout=60,
        compensate_on=("timeout",),
    )
    document = order.as_dict()
    assert [one.get("compensate") for one in document["tasks"]] == [
        "refund",
        {"name": "refund", "timeout": 20},
        None,
    ]
    assert document["tasks"][1]["on_error"] == {"to": ["refund"]}
    assert document["finally"] == [
        {"id": "last", "name": "refund"},
        {"name": "refund", "id": "very last"},
    ]
    assert (document["closing_timeout"], document["compensate_on"]) == (60, ["timeout"])
    assert order.validate(registry)
    assert tukio.WorkflowTemplate.from_dict(document).as_dict() == document
    assert "closing_timeout" not in flow("x", refund, closing_timeout=25).as_dict()
    assert flow("x", refund, closing_timeout=None).as_dict()["closing_timeout"] is None
    with pytest.raises(TypeError, match="takes single tasks, not a chain of several"):
        flow("x", refund, finally_=[refund.of(id="a") >> refund])
    with pytest.raises(TypeError, match=r"got a task with 'join' - such a task has only name, con"):
        refund.of(compensate=refund.of(join="all"))
    with pytest.raises(TypeError, match=r"got 'finally' in 'extra' - give it as a key"):
        flow("x", refund, extra={"finally": []})
    with pytest.raises(tukio.TemplateError, match="finally: must be a list"):
        flow("x", refund, finally_={})  # type: ignore[arg-type]


@pytest.fixture
def registry() -> Registry:
    """Return a registry of its own."""
    return Registry()
