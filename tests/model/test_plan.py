"""The plan of a run: what is ready, what an outcome leads to, and what travels on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from support.flow import flow
from support.strategies import graphs
from tukio._model.plan import Plan
from tukio._model.shape import Shape, shape_of
from tukio._model.step import LOOSE, Step
from tukio._model.task_template import TaskTemplate
from tukio.errors import InvalidResult, WorkflowRootTaskError
from tukio.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.strategies import Graph
    from tukio._model.template import WorkflowTemplate

DIAMOND = {"a": ["c", "b"], "b": ["d"], "c": ["d"], "d": []}


class Receiver(Step):
    """Keeps what it receives while it is queued or running."""

    __slots__ = ("received",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.received: list[tuple[str, dict[str, Any]]] = []

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Keep the data of a later parent."""
        self.received.append((parent.template.uid, data))


def template_of(graph: Graph | str) -> WorkflowTemplate:
    """Return a template whose tasks are declared in the order of the graph."""
    if isinstance(graph, str):
        return flow(graph)
    return flow(graph, tasks=[{"id": uid, "name": uid} for uid in graph])


def plan_of(graph: Graph | str) -> Plan[Receiver]:
    """Return a plan for a graph of ids; a string is a chain."""
    return Plan(shape_of(template_of(graph)), Receiver)


def take(plan: Plan[Receiver]) -> Receiver:
    """Start the step that is ready first."""
    step = plan.ready.popleft()
    step.started_at = 0
    return step


def end(plan: Plan[Receiver], step: Receiver, result: Any = None) -> None:
    """End a step with a result, and pass on what it leads to."""
    step.output_data, data = plan.passed_on(step, result)
    step.ended_at = 1
    plan.follow(step, data)


def ids(steps: Any) -> list[str]:
    """Return the ids of steps."""
    return [step.template.uid for step in steps]


# Order


@given(graphs(rooted=True))
def test_steps_start_breadth_first_in_declared_order(graph: Graph) -> None:
    """Each task of the graph once; a merge where its first parent puts it (G8)."""
    [root] = set(graph) - {down for downs in graph.values() for down in downs}
    expected = [root]
    for uid in expected:
        expected += [down for down in graph[uid] if down not in expected]

    plan = plan_of(graph)
    plan.begin({})
    started: list[str] = []
    while plan.ready:
        step = take(plan)
        started.append(step.template.uid)
        end(plan, step)
    assert started == expected
    assert sorted(started) == sorted(graph)
    assert ids(plan.reached()) == list(graph)


@given(graphs(rooted=True), st.data())
def test_every_parent_starts_a_step_or_is_received_or_comes_too_late(
    graph: Graph, data: st.DataObject
) -> None:
    """Whatever the order in which steps start and end; no step starts twice."""
    plan = plan_of(graph)
    running, ended = [plan.begin({"from": None})], list[str]()
    plan.ready.clear()
    too_late: list[tuple[str, str]] = []
    while running or plan.ready:
        if plan.ready and (not running or data.draw(st.booleans())):
            running.append(take(plan))
            continue
        step = running.pop(data.draw(st.integers(0, len(running) - 1)))
        uid = step.template.uid
        too_late += [(uid, down) for down in graph[uid] if down in ended]
        end(plan, step, {"from": uid})
        ended.append(uid)

    assert sorted(ended) == sorted(graph)
    met = list(too_late)
    for receiver in plan.steps:
        assert receiver is not None
        uid = receiver.template.uid
        starter = receiver.parent.template.uid if receiver.parent else None
        assert receiver.input_data == {"from": starter}
        met += [(starter, uid)] if starter else []
        assert [parent for parent, _ in receiver.received] == [
            other
            for other in ended
            if uid in graph[other] and other != starter and (other, uid) not in too_late
        ]
        assert all(content == {"from": parent} for parent, content in receiver.received)
        met += [(parent, uid) for parent, _ in receiver.received]
    assert sorted(met) == sorted((up, down) for up, downs in graph.items() for down in downs)


def test_the_first_parent_that_ends_starts_a_merge() -> None:
    """It need not be the one that is declared, or was started, first."""
    plan = plan_of(DIAMOND)
    plan.begin({})
    end(plan, take(plan))
    c, b = take(plan), take(plan)
    end(plan, b, {"n": 1})
    assert ids(plan.ready) == ["d"]
    d = plan.ready[0]
    assert (d.parent, d.input_data) == (b, {"n": 1})
    end(plan, c, {"n": 2})
    assert len(plan.ready) == 1
    assert d.received == [("c", {"n": 2})]


def test_a_late_parent_is_received_while_the_merge_runs_and_not_after() -> None:
    """As in 1.x: what comes when it is over starts nothing and disturbs nobody."""
    for is_over in (False, True):
        plan = plan_of(DIAMOND)
        plan.begin({})
        end(plan, take(plan))
        c, b = take(plan), take(plan)
        end(plan, b)
        d = take(plan)
        if is_over:
            end(plan, d)
        end(plan, c, {"n": 2})
        assert not plan.ready
        assert d.received == ([] if is_over else [("c", {"n": 2})])


def test_a_plan_needs_nothing_but_plain_steps() -> None:
    """They receive a late parent without a word."""
    plan = Plan(shape_of(flow(DIAMOND)), Step)
    plan.begin({"n": 1})
    order: list[str] = []
    while plan.ready:
        step = plan.ready.popleft()
        order.append(step.template.uid)
        step.started_at = 0
        plan.follow(step, plan.passed_on(step, None)[1])
        step.ended_at = 1
    assert order == ["a", "c", "b", "d"]
    assert [step.input_data for step in plan.reached()] == [{"n": 1}] * 4


def test_the_root_is_ready_first_and_alone() -> None:
    """With the data of the run as its input."""
    plan = plan_of(DIAMOND)
    data = {"n": 1}
    root = plan.begin(data)
    assert list(plan.ready) == [root]
    assert root.input_data is data
    assert root.parent is None
    assert (root.state.value, root.output_data, root.error, root.chosen) == (
        "pending",
        None,
        None,
        None,
    )


def test_a_step_is_reached_as_soon_as_it_is_due() -> None:
    """Before it has begun, as 1.x knew of a task before its coroutine ran."""
    plan = plan_of("a b c")
    assert plan.reached() == []
    plan.begin({})
    assert ids(plan.reached()) == ["a"]
    end(plan, take(plan))
    assert ids(plan.ready) == ["b"]
    assert ids(plan.reached()) == ["a", "b"]


# Results


@pytest.mark.parametrize("wrap", [dict, Event], ids=["dict", "event"])
def test_a_dict_or_an_event_travels_on_as_a_copy(wrap: Callable[[Any], Any]) -> None:
    """What the task does to its own dict afterwards is its own affair (G9)."""
    plan = plan_of("a b")
    a = plan.begin({"n": 1})
    result = wrap({"n": 2, "l": [1]})
    output, data = plan.passed_on(a, result)
    inner = result.data if isinstance(result, Event) else result
    inner["n"] = 3
    assert data == {"n": 2, "l": [1]}
    assert data["l"] is inner["l"]
    assert output is data


class Guarded(dict[str, Any]):
    """A dict of a user's class that does not show what is in it."""

    def __iter__(self) -> Any:
        raise asyncio.CancelledError

    def keys(self) -> Any:
        """Fail as well."""
        raise asyncio.CancelledError


def test_g7_a_dict_that_cannot_be_copied_cannot_be_passed_on() -> None:
    """It is the fault of the task that returned it, whatever the methods of its class raise."""
    plan = plan_of("a b")
    a = plan.begin({})
    with pytest.raises(InvalidResult) as refusal:
        plan.passed_on(a, Guarded(n=1))
    assert (refusal.value.task_id, refusal.value.result_type) == ("a", "Guarded")
    assert isinstance(refusal.value.__cause__, asyncio.CancelledError)


def test_none_passes_the_inputs_on() -> None:
    """The output is None, and the next task gets what this one got."""
    plan = plan_of("a b")
    a = plan.begin({"n": 1})
    assert plan.passed_on(a, None) == (None, {"n": 1})


@pytest.mark.parametrize("result", [5, "text", [], 0, False])
def test_anything_else_cannot_be_passed_on_but_is_kept(result: Any) -> None:
    """In 1.x the workflow hung; a falsy object is no None."""
    plan = plan_of("a b")
    a = plan.begin({})
    with pytest.raises(InvalidResult) as refusal:
        plan.passed_on(a, result)
    assert (refusal.value.task_id, refusal.value.result_type) == ("a", type(result).__name__)


@pytest.mark.parametrize("result", [5, "text", [], object()], ids=type)
def test_a_leaf_may_return_anything(result: Any) -> None:
    """Nobody has to receive it."""
    plan = plan_of("a")
    a = plan.begin({"n": 1})
    assert plan.passed_on(a, result) == (result, {"n": 1})


# Choices


@given(graphs(rooted=True), st.data())
def test_a_choice_leads_only_to_the_chosen_in_declared_order(
    graph: Graph, data: st.DataObject
) -> None:
    """In whatever order, and however often, they are named; the last choice counts."""
    plan = plan_of(graph)
    root = plan.begin({})
    successors = graph[root.template.uid]
    choices = st.lists(st.sampled_from(successors)) if successors else st.just(list[str]())
    former, wanted = data.draw(choices), data.draw(choices)
    plan.choose(root, former)
    plan.choose(root, wanted)
    end(plan, take(plan))
    assert ids(plan.ready) == [uid for uid in successors if uid in wanted]


def test_an_empty_choice_stops_the_branch() -> None:
    """Unlike no choice at all."""
    plan = plan_of("a b")
    a = plan.begin({})
    plan.choose(a, iter([]))
    end(plan, take(plan))
    assert not plan.ready


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("b", TypeError, "expected a list of task ids, not the string 'b'"),
        (None, TypeError, "not iterable"),
        (["b", 5], TypeError, r"expected a list of task ids, not \['b', 5\]"),
        (["b", "d", "a"], LookupError, r"\['d', 'a'\] not among the successors of 'a': c, b"),
    ],
    ids=["string", "None", "number", "no successor"],
)
def test_a_wrong_choice_is_refused_and_the_former_stays(
    wrong: Any, error: type[Exception], words: str
) -> None:
    """In 1.x the workflow hung."""
    plan = plan_of(DIAMOND)
    a = plan.begin({})
    plan.choose(a, ["b"])
    with pytest.raises(error, match=words):
        plan.choose(a, wrong)
    end(plan, take(plan))
    assert ids(plan.ready) == ["b"]


def test_a_leaf_has_nothing_to_choose_from() -> None:
    """And says so."""
    plan = plan_of("a")
    with pytest.raises(LookupError, match=r"\['b'\] not among the successors of 'a': none"):
        plan.choose(plan.begin({}), ["b"])


# Shapes


def test_a_shape_is_made_once_and_again_after_a_change() -> None:
    """Runs share it; a template that is changed between two runs is seen as it is."""
    template = flow("a b")
    shape = shape_of(template)
    assert shape_of(template) is shape
    assert shape.successors == ((1,), (), ())
    c = TaskTemplate("c", "c")
    template.add(c)
    template.link(template.tasks[1], c)
    assert shape_of(template).successors == ((1,), (2,), (), ())
    assert shape.successors == ((1,), (), ())


def test_a_copy_of_a_template_makes_a_shape_of_its_own() -> None:
    """Otherwise its runs would execute the tasks of the original."""
    template = flow("a b")
    shape = shape_of(template)
    twin = template.copy()
    assert shape_of(twin) is not shape
    assert list(shape_of(twin).tasks) == twin.tasks


def test_a_shape_needs_a_single_root() -> None:
    """Otherwise nobody knows where to begin."""
    with pytest.raises(WorkflowRootTaskError, match="found 2"):
        Shape(flow({"a": [], "b": []}))


@given(graphs(rooted=True))
def test_a_shape_is_the_graph_by_numbers(graph: Graph) -> None:
    """Numbers are places in the declared order."""
    shape = shape_of(template_of(graph))
    names = [task.uid for task in shape.tasks]
    assert {
        names[number]: [names[down] for down in shape.successors[number]]
        for number in range(len(names))
    } == graph
    assert shape.successors[LOOSE] == ()
    assert [names[shape.root]] == [
        uid for uid in graph if not any(uid in downs for downs in graph.values())
    ]


def test_a_step_outside_of_the_graph_takes_no_place_of_a_task() -> None:
    """Another execution of it has its class, its inputs and what it is after, as any other has."""
    plan = plan_of("a b")
    root = plan.begin({"n": 1})
    loose = Receiver(None, LOOSE, TaskTemplate("x"), {"n": 2}, root)
    renewed = plan.renew(loose)
    assert type(renewed) is Receiver
    assert (renewed.number, renewed.input_data, renewed.parent) == (LOOSE, {"n": 2}, root)
    assert plan.steps == [root, None]
