"""For which parents a task waits: the words, their faults, and what a plan makes of them."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from tukio._model.fan_in import collected
from tukio._model.gathering import GatheringPlan, plan_for
from tukio._model.plan import Plan
from tukio._model.registry import Registry
from tukio._model.shape import shape_of
from tukio._model.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["e"]}


def template_of(
    graph: Mapping[str, list[str]] = DIAMOND, **keys: dict[str, Any]
) -> tukio.WorkflowTemplate:
    """Return a template; further keys of tasks by their ids."""
    ids = dict.fromkeys(uid for up, downs in graph.items() for uid in (up, *downs))
    tasks = [{"id": uid, "name": "x"} | keys.get(uid, {}) for uid in ids]
    document = {"id": "w", "tasks": tasks, "graph": dict(graph)}
    return tukio.WorkflowTemplate.from_dict(document)


def faults_of(**keys: Any) -> list[str]:
    """Return the faults of a diamond whose task "d" has some keys."""
    registry = Registry()
    registry.register(nothing, "x")
    try:
        template_of(d=keys).validate(registry)
    except tukio.TemplateError as error:
        return [str(fault) for fault in error.faults]
    return []


async def nothing(event: tukio.Event) -> None:
    """Do nothing."""


# Words -------------------------------------------------------------------------------------------

WORDS = [
    {"join": "all"},
    {"join": "settled", "collect": "all"},
    {"join": "first"},
    {"join": 1, "collect": "first"},
    {"join": 2, "collect": "merge"},
]


@pytest.mark.parametrize("keys", WORDS, ids=str)
def test_the_keys_are_those_of_a_task(keys: dict[str, Any]) -> None:
    """They are fields, they go through the dict form, copies and pickles, and are no faults."""
    template = template_of(d=keys)
    for one in (template, template.copy(), pickle.loads(pickle.dumps(template))):  # noqa: S301 - our own
        task = one.tasks[3]
        assert {"join": task.join, "collect": task.collect}.items() >= keys.items()
        assert one.as_dict()["tasks"][3].items() >= keys.items()
        assert task.extra == {}
    assert faults_of(**keys) == []


def test_what_is_not_said_is_not_in_the_dict_form() -> None:
    """A template of 1.x looks as it did."""
    assert template_of().as_dict()["tasks"][3].keys() == {
        *("name", "id", "config", "timeout", "topics")
    }


HOW = "; give 'first', 'all', 'settled', or a number of parents"
NO_WORD = "is not one of first, all, settled, and no number of parents"
BESIDE = "; write 'join': 'all' beside it, or leave it out"
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"join": "al"}, f"join: 'al' {NO_WORD}; did you mean 'all'?"),
    ({"join": 0}, f"join: 0 {NO_WORD}{HOW}"),
    ({"join": True}, f"join: True {NO_WORD}{HOW}"),
    ({"join": ["b"]}, f"join: ['b'] {NO_WORD}{HOW}"),
    ({"join": 3}, "join: cannot wait for 3 of 2 parents; give a number from 1 to 2, or 'all'"),
    (
        {"join": "all", "collect": "some"},
        "collect: 'some' is not one of first, merge, all; known: first, merge, all",
    ),
    *(
        (keys, f"collect: a task that waits for one parent collects nothing{BESIDE}")
        for keys in ({"collect": "all"}, {"join": "first", "collect": "merge"})
    ),
]


@pytest.mark.parametrize(("keys", "fault"), FAULTS, ids=str)
def test_what_cannot_be_meant_is_a_fault(keys: dict[str, Any], fault: str) -> None:
    """With its path and what to do (G12)."""
    assert faults_of(**keys) == [f"tasks[3].{fault}"]


@pytest.mark.parametrize("join", ["all", "settled", 1])
def test_a_task_without_parents_waits_for_none(join: str | int) -> None:
    """Else it would never start, or the link is missing."""
    registry = Registry()
    registry.register(nothing, "x")
    with pytest.raises(tukio.TemplateError) as caught:
        template_of(a={"join": join}).validate(registry)
    assert [fault.path for fault in caught.value.faults] == ["tasks[0].join"]


def test_the_join_task_waits_itself() -> None:
    """Two ways to wait, one within the other, are a mistake."""
    keys = {"name": "join", "config": {"wait_for": 2}}
    assert faults_of(**keys) == []
    assert faults_of(**keys, join="first") == []
    problem = "the task 'join' waits for its parents itself"
    advice = "use the config of the task 'join', or another task with this key"
    assert faults_of(**keys, join="all") == [f"tasks[3].join: {problem}; {advice}"]


def test_several_parents_and_no_word_are_a_warning() -> None:
    """The task starts with the first of them, which is seldom meant; a word for it is enough."""
    (warning,) = template_of().warnings()
    assert str(warning) == (
        "tasks[3].join: not said: the task starts with the first of its 2 parents that ends;"
        " write 'join': 'all' to wait for all, or 'join': 'first' if that is meant"
    )
    assert template_of(d={"join": "first"}).warnings() == []
    assert template_of(d={"name": "join", "config": {"wait_for": 2}}).warnings() == []
    assert template_of({"a": ["b"]}).warnings() == []


# The plan ----------------------------------------------------------------------------------------


class Told(Step):
    """A step that keeps what it was told while it is not over."""

    __slots__ = ("told",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told: list[Any] = []

    def receive(self, data: dict[str, Any], parent: Step) -> None:
        """Keep the data of a later parent."""
        super().receive(data, parent)
        self.told.append((parent.template.uid, data))


class Progress:
    """A plan, and its steps by the ids of their tasks."""

    def __init__(self, graph: Mapping[str, list[str]] = DIAMOND, **keys: dict[str, Any]) -> None:
        self.plan: Plan[Told] = plan_for(shape_of(template_of(graph, **keys)), Told)
        self.plan.begin({})

    def ready(self) -> list[str]:
        """Return the ids of the tasks that are ready."""
        return [step.template.uid for step in self.plan.ready]

    def step(self, uid: str) -> Told:
        """Return the step of a task."""
        return next(step for step in self.plan.reached() if step.template.uid == uid)

    def end(self, *ids: str, leads: bool = True, to: list[str] | None = None) -> list[str]:
        """End some tasks, one after the other, and return what is ready then."""
        for uid in ids:
            step = self.step(uid)
            if step in self.plan.ready:
                self.plan.ready.remove(step)
            step.ended_at = 0.0
            if to is not None:
                self.plan.choose(step, to)
            if leads:
                self.plan.follow(step, {uid: 1, "last": uid})
            else:
                self.plan.stop_branch(step)
        return self.ready()

    def fail(self, *ids: str) -> list[str]:
        """Have some tasks fail, and return what is ready then."""
        return self.end(*ids, leads=False)


def test_only_a_graph_with_a_join_has_a_plan_that_gathers() -> None:
    """What is not used costs nothing."""
    assert type(plan_for(shape_of(template_of()), Step)) is Plan
    assert type(plan_for(shape_of(template_of(d={"join": "first"})), Step)) is Plan
    assert type(plan_for(shape_of(template_of(d={"join": 1})), Step)) is GatheringPlan


def test_first_is_as_in_1_x() -> None:
    """The task is due with the first parent; the next one is told to it."""
    run = Progress(d={"join": "first"})
    assert run.end("a", "c") == ["b", "d"]
    assert run.end("b") == ["d"]
    assert run.step("d").told == [("b", {"b": 1, "last": "b"})]


@pytest.mark.parametrize("join", ["all", "settled", 2])
def test_a_join_is_due_when_all_have_arrived(join: str | int) -> None:
    """With the data of all, in the order they arrived; the last one is its parent."""
    run = Progress(d={"join": join})
    assert run.end("a", "c") == ["b"]
    assert run.end("b") == ["d"]
    assert run.step("d").input_data == {"c": 1, "b": 1, "last": "b"}
    assert run.step("d").parent is run.step("b")
    assert run.step("d").told == []


@pytest.mark.parametrize(("join", "due"), [("all", []), ("settled", ["d"]), (2, ["d"]), (1, ["d"])])
@pytest.mark.parametrize("fails_first", [False, True])
def test_when_a_parent_fails(join: str | int, due: list[str], *, fails_first: bool) -> None:
    """`all` is never due; the others go on with those that came."""
    run = Progress(d={"join": join})
    run.end("a")
    if fails_first:
        run.fail("b")
        assert run.end("c") == due
    else:
        run.end("c")
        assert run.fail("b") == due
    if due:
        assert run.step("d").input_data == {"c": 1, "last": "c"}


@pytest.mark.parametrize("join", ["all", "settled", 2])
def test_a_parent_that_was_not_chosen_is_not_waited_for(join: str | int) -> None:
    """Every parent that was chosen must arrive; the others were never meant to."""
    run = Progress(d={"join": join})
    run.end("a", to=["c"])
    assert run.ready() == ["c"]
    assert run.end("c") == ["d"]


@pytest.mark.parametrize("join", ["all", "settled", 2, 1])
def test_nobody_comes(join: str | int) -> None:
    """The task is never due, whatever it waits for."""
    run = Progress(d={"join": join})
    assert run.end("a", to=[]) == []
    run = Progress(d={"join": join})
    run.end("a")
    assert run.fail("b", "c") == []


def test_a_number_goes_on_with_the_first_and_tells_the_rest() -> None:
    """Those that come later are told to the task while it is not over."""
    graph = {"a": ["b", "c", "x"], "b": ["d"], "c": ["d"], "x": ["d"]}
    run = Progress(graph, d={"join": 2})
    assert run.end("a", "b") == ["c", "x"]
    assert run.end("x") == ["c", "d"]
    assert run.step("d").input_data == {"b": 1, "x": 1, "last": "x"}
    assert run.end("c") == ["d"]
    assert run.step("d").told == [("c", {"c": 1, "last": "c"})]
    run = Progress(graph, d={"join": 2})
    run.end("a", "b", "x", "d")
    assert run.end("c") == []


CHAINED = {"a": ["b", "c"], "b": ["d"], "c": ["d", "e"], "d": ["e"], "e": ["f"]}


@pytest.mark.parametrize(("after", "due"), [("all", []), ("settled", ["e"]), (2, ["e"])])
def test_a_failure_spoils_what_waits_behind(after: str | int, due: list[str]) -> None:
    """A join that is never due is a parent that cannot come, for the reason that it has."""
    run = Progress(CHAINED, d={"join": "all"}, e={"join": after})
    run.end("a", "c")
    assert run.fail("b") == due


@pytest.mark.parametrize("after", ["all", "settled", 2])
def test_a_route_spoils_nothing(after: str | int) -> None:
    """What was not chosen is not waited for, however far behind it is."""
    graph = {"a": ["b", "c"], "b": ["d"], "d": ["e"], "c": ["e"]}
    run = Progress(graph, e={"join": after})
    run.end("a", to=["c"])
    assert run.end("c") == ["e"]


def test_a_failure_is_known_before_all_others_are_over() -> None:
    """Whoever waits for a join that is never due need not wait for its other parents."""
    run = Progress(CHAINED, d={"join": "all"}, e={"join": "settled"})
    run.end("a")
    run.fail("b")
    assert run.end("c") == ["e"], "it has come by itself, and 'd' never will"


def test_what_becomes_due_together_is_in_declared_order() -> None:
    """Whether it waited or not (G8)."""
    graph = {"a": ["b", "c"], "b": ["x", "d", "y"], "c": ["d"]}
    run = Progress(graph, d={"join": "all"})
    run.end("a", "c")
    assert run.end("b") == ["x", "d", "y"]


def test_a_task_of_many_roads_is_decided_once() -> None:
    """A failure that reaches it by two roads counts for each of them."""
    graph = {"a": ["b", "c"], "b": ["d", "e"], "d": ["f"], "e": ["f"], "c": ["f"], "f": ["g"]}
    run = Progress(graph, f={"join": "settled"}, d={"join": "all"}, e={"join": 1})
    run.end("a")
    assert run.fail("b") == ["c"]
    assert run.end("c") == ["f"]
    run = Progress(graph, f={"join": "all"})
    run.end("a", "c")
    assert run.fail("b") == []


def test_a_choice_among_very_many_is_looked_at_once() -> None:
    """The time does not grow with the square of the number of those chosen."""
    compared: list[int] = []

    class Counted(int):
        """A number that counts how often it is compared."""

        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(int(self))
            return int(self) == other

    ids = [f"n{number}" for number in range(1_000)]
    graph = {"a": ids, **{uid: ["z"] for uid in ids}}
    plan = plan_for(shape_of(template_of(graph, z={"join": "all"})), Step)
    root = plan.begin({})
    plan.choose(root, ids[::2])
    assert root.chosen is not None
    root.chosen = tuple(map(Counted, root.chosen))
    root.ended_at = 0.0
    plan.follow(root, {})
    assert len(plan.ready) == 1 + len(ids) // 2
    assert len(compared) <= len(ids)


def test_nothing_becomes_due_when_all_is_called_off() -> None:
    """A step that is cancelled settles a link; the run does not begin another one for it."""
    run = Progress(d={"join": "settled"})
    run.end("a", "c")
    assert [step.template.uid for step in run.plan.call_off()] == ["b"]
    assert run.fail("b") == []


# Data --------------------------------------------------------------------------------------------


def arrivals(*data: Any) -> list[tuple[Any, Any]]:
    """Return some data, each with a step of its own: of "a", "b", and so on."""
    plan: Plan[Step] = Plan(shape_of(template_of({"a": ["b", "c"]})), Step)
    tasks = plan.shape.tasks
    steps = [Step(None, number, task, None, None) for number, task in enumerate(tasks)]
    return list(zip(data, steps, strict=False))


def test_what_is_collected() -> None:
    """One dict of all, later parents over earlier ones; or each by itself; or the first."""
    arrived = arrivals({"x": 1, "y": 1}, {"y": 2})
    assert collected("merge", arrived) == {"x": 1, "y": 2}
    assert collected("all", arrived) == {"a": {"x": 1, "y": 1}, "b": {"y": 2}}
    assert collected("first", arrived) == {"x": 1, "y": 1}


def test_what_is_collected_is_nobody_elses() -> None:
    """A change of it is none of what the parents have returned (G9)."""
    arrived = arrivals({"x": 1}, {"y": 2})
    collected("merge", arrived)["x"] = 0
    collected("all", arrived)["a"]["x"] = 0
    assert arrived[0][0] == {"x": 1}


def test_what_is_no_dict_is_not_merged() -> None:
    """A run without an engine may be started with anything, and tasks pass it on."""
    assert collected("merge", arrivals(1, {"x": 1})) == {"x": 1}
    assert collected("merge", arrivals(1, 2)) == 1
    assert collected("all", arrivals(1, 2)) == {"a": 1, "b": 2}


class Unhappy(dict[str, Any]):
    """A kind of dict that tells nobody what it has."""

    def keys(self) -> Any:
        """Fail."""
        raise LookupError

    __iter__ = copy = keys


def test_a_kind_of_dict_is_merged_by_its_items() -> None:
    """Its methods are the user's, and may raise anything (G9)."""
    assert collected("merge", arrivals(Unhappy({"x": 1}), {"y": 1})) == {"x": 1, "y": 1}
