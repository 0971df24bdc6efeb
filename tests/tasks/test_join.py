"""Joins: whom they wait for, what they pass on, and that they never hang."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

import tukio
from support.flow import Tasks, flow
from support.strategies import graphs

if TYPE_CHECKING:
    from support.strategies import Graph

FINISHED = tukio.FutureState.finished
CANCELLED = tukio.FutureState.cancelled

FAN = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}


def register_steps(task: Tasks) -> None:
    """Register what the workflows here run.

    `after` takes as long as its config says, `fails` likewise; `router` leads only where its config
    says. All tell who they are in what they return.
    """

    @task
    class after(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            await anyio.sleep(self.config.get("seconds", 0))
            uid = tukio.current_task().template.uid
            return {uid: self.config.get("seconds", 0), "last": uid}

    @task
    class fails(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(self.config.get("seconds", 0))
            raise KeyError("boom")

    @task
    class router(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            tukio.current_workflow().set_next_tasks(self.config["to"])
            return {"last": tukio.current_task().template.uid}


@pytest.fixture
def steps(task: Tasks) -> None:
    """Have them registered."""
    register_steps(task)


def joining(
    join: dict[str, Any], graph: Graph = FAN, *, limit: float | None = None, **tasks: Any
) -> tukio.WorkflowTemplate:
    """Return a workflow with a join `j`.

    Args:
        join: The config of the join.
        graph: The graph; by default `a` leads to `b`, `c` and `d`, these to `j`, and `j` to `k`.
        limit: The time limit of the join.
        tasks: Task id -> its seconds, or its name and config; otherwise it takes no time.
    """
    template = flow(graph, names=dict.fromkeys([*graph, "k"], "after") | {"j": "join"})
    for task in template.tasks:
        known = tasks.get(task.uid, 0)
        task.name, config = known if isinstance(known, tuple) else (task.name, {"seconds": known})
        task.config = join if task.uid == "j" else config
        task.timeout = limit if task.uid == "j" else None
    return template


async def outcome(template: tukio.WorkflowTemplate) -> tuple[float, Any, list[str]]:
    """Run a workflow; return when `k` began, what it was given, and who had joined by then."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED
    report = run.report()
    of = {task["id"]: task["exec"] for task in report["tasks"]}
    seconds = (of["k"]["start"] - report["exec"]["start"]).total_seconds()
    return seconds, of["k"]["inputs"], [one["id"] for one in of["j"]["reporting"]["tasks"]]


# What goes on -------------------------------------------------------------------------------------

B, C, D = ({uid: seconds, "last": uid} for uid, seconds in (("b", 2), ("c", 1), ("d", 3)))


@pytest.mark.parametrize(
    ("collect", "passed_on"),
    [
        (None, C),
        ("first", C),
        ("merge", {"c": 1, "b": 2, "d": 3, "last": "d"}),
        ("all", {"c": C, "b": B, "d": D}),
    ],
)
@pytest.mark.parametrize("wait_for", [3, ["b", "c", "d"], ["d", "c", "b"]], ids=str)
async def test_a_join_passes_on_the_first_the_merged_or_all(
    steps: None, wait_for: Any, collect: str | None, passed_on: Any
) -> None:
    """In the order in which they came: a later one wins where two say the same thing."""
    join = {"wait_for": wait_for} | ({"collect": collect} if collect else {})
    seconds, given_to_k, joined = await outcome(joining(join, b=2, c=1, d=3))
    assert (seconds, joined) == (3, ["c", "b", "d"])
    assert given_to_k == passed_on


@pytest.mark.parametrize(
    ("collect", "passed_on"),
    [("first", C), ("merge", {"b": 2, "d": 3, "last": "d"}), ("all", {"b": B, "d": D})],
)
async def test_one_who_is_not_waited_for_is_collected_by_nobody(
    steps: None, collect: str, passed_on: Any
) -> None:
    """As the first it still goes on, as in 1.x; and it has joined, for the report."""
    join = {"wait_for": ["b", "d"], "collect": collect}
    assert await outcome(joining(join, b=2, c=1, d=3)) == (3, passed_on, ["c", "b", "d"])


async def test_a_join_goes_on_as_soon_as_those_it_waits_for_have_come(steps: None) -> None:
    """Whoever comes later, or never, is none of its business."""
    join: dict[str, Any] = {"wait_for": ["c", "b"], "collect": "all"}
    assert await outcome(joining(join, b=2, c=1, d=60)) == (2, {"c": C, "b": B}, ["c", "b"])
    join = {"wait_for": 1, "collect": "all"}
    assert await outcome(joining(join, b=2, c=1, d=60)) == (1, {"c": C}, ["c"])


async def test_what_a_join_passes_on_is_its_own(task: Tasks, steps: None) -> None:
    """Its successors may change it: the outputs of its parents stay what they were."""

    @task
    async def spoils(event: tukio.Event) -> dict[str, Any]:
        event.data["c"]["spoilt"] = event.data["spoilt"] = True
        return event.data

    template = joining({"wait_for": 3, "collect": "all"}, b=2, c=1, d=3, k=("spoils", {}))
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await run.wait()

    assert run.outputs["c"] == C
    assert list(run.outputs["j"]) == ["c", "b", "d"]


# Who cannot come ----------------------------------------------------------------------------------

MISSING: dict[str, tuple[dict[str, Any], Graph, float]] = {
    "it failed": ({"b": ("fails", {"seconds": 2})}, FAN, 2),
    "it failed at last": ({"b": ("fails", {"seconds": 60})}, FAN, 60),
    "it was not chosen": ({"a": ("router", {"to": ["c", "d"]})}, FAN, 3),
    "one before it failed": (
        {"x": ("fails", {"seconds": 2})},
        {**FAN, "a": ["x", "c", "d"], "x": ["b"]},
        2,
    ),
    "one before it led elsewhere": (
        {"x": ("router", {"to": ["y"]})},
        {**FAN, "a": ["x", "c", "d"], "x": ["b", "y"], "y": []},
        3,
    ),
    "one before it stopped there": (
        {"x": ("router", {"to": []})},
        {**FAN, "a": ["x", "c", "d"], "x": ["y"], "y": ["b"]},
        3,
    ),
    "both that lead to it failed": (
        {"x": ("fails", {"seconds": 2}), "y": ("fails", {"seconds": 60})},
        {**FAN, "a": ["x", "y", "c", "d"], "x": ["b"], "y": ["b"]},
        60,
    ),
}


@pytest.mark.parametrize(("tasks", "graph", "until"), MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("wait_for", [3, ["b", "c", "d"]], ids=str)
async def test_a_join_does_not_wait_for_one_who_cannot_come(
    steps: None, wait_for: Any, tasks: dict[str, Any], graph: Graph, until: float
) -> None:
    """It goes on with the others as soon as that is known."""
    join = {"wait_for": wait_for, "collect": "all"}
    template = joining(join, graph, **{"c": 1, "d": 3} | tasks)
    assert await outcome(template) == (max(until, 3), {"c": C, "d": D}, ["c", "d"])


async def test_a_join_that_waits_only_for_one_who_cannot_come_has_its_inputs(steps: None) -> None:
    """Those of the parent that started it; there is nothing to collect."""
    for collect, passed_on in (("first", C), ("merge", {}), ("all", {})):
        join = {"wait_for": ["b"], "collect": collect}
        template = joining(join, b=("fails", {"seconds": 2}), c=1, d=60)
        assert await outcome(template) == (2, passed_on, ["c"])


async def test_a_join_that_nobody_leads_to_is_not_reached(steps: None) -> None:
    """The run ends without it."""
    names: Any = dict.fromkeys("bcd", ("fails", {}))
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(joining({"wait_for": 3}, **names), {})
        assert await run.wait() is FINISHED

    assert [step.template.uid for step in run.tasks] == ["a", "b", "c", "d"]


# When it is cut -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("collect", "passed_on"),
    [("first", C), ("merge", {"c": 1, "b": 2, "last": "b"}), ("all", {"c": C, "b": B})],
)
async def test_a_join_past_its_limit_passes_on_what_has_come(
    steps: None, collect: str, passed_on: Any
) -> None:
    """Its limit counts from the first parent."""
    join = {"wait_for": 3, "collect": collect}
    template = joining(join, limit=5, b=2, c=1, d=60)
    assert await outcome(template) == (6, passed_on, ["c", "b"])


@pytest.mark.parametrize("cut", ["cancel", "timeout"])
async def test_a_join_of_a_run_that_is_cut_says_that_it_was_cancelled(
    steps: None, cut: str
) -> None:
    """1.1.2 called either a timeout; nobody gets what had come."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(joining({"wait_for": 3}, b=2, c=1, d=60), {})
        await anyio.sleep(10)
        getattr(run, cut)()
        await run.wait()

    entry = run.report()["tasks"][-2]["exec"]
    assert (entry["state"], entry["outputs"]) == ("cancelled", None)
    assert entry["reporting"]["status"] == "cancelled"
    assert [one["id"] for one in entry["reporting"]["tasks"]] == ["c", "b"]


@pytest.mark.parametrize("seconds", [0.5, 1, 1.5, 2, 2.5])
@pytest.mark.parametrize("pause", [0, 10])
async def test_a_join_that_was_suspended_has_all_who_came(
    steps: None, seconds: float, pause: float
) -> None:
    """Before, while and after they come; those who were at work come once more, later."""
    async with tukio.Engine() as engine:
        template = joining({"wait_for": 3, "collect": "all"}, b=2, c=1, d=3)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(seconds)
        run.suspend()
        await anyio.sleep(pause)
        run.resume()
        assert await run.wait() is FINISHED

    assert run.outputs["j"] == {"c": C, "b": B, "d": D}


async def test_a_report_says_when_a_parent_ended_also_after_a_suspension(steps: None) -> None:
    """The `end_time` of a parent is its own, not that of the join's second start."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(joining({"wait_for": 3}, b=1, c=2, d=5), {})
        await anyio.sleep(3)
        run.suspend()
        await anyio.sleep(10)
        run.resume()
        assert await run.wait() is FINISHED

    entries = {entry["id"]: entry["exec"] for entry in run.report()["tasks"]}
    shown = {one["id"]: one["end_time"] for one in entries["j"]["reporting"]["tasks"]}
    assert shown == {uid: entries[uid]["end"] for uid in "bcd"}


async def test_a_parent_lost_while_the_join_is_suspended_is_not_waited_for(
    task: Tasks, steps: None
) -> None:
    """A step that makes an error of its interruption has failed; the join learns of it."""

    @task
    class sore(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep(30)
            except anyio.get_cancelled_exc_class():
                raise LookupError from None

    async with tukio.Engine() as engine:
        join = {"wait_for": 3, "collect": "all"}
        run: Any = await engine.run_once(joining(join, b=2, c=("sore", {}), d=3), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        assert await run.wait() is FINISHED

    assert run.outputs["j"] == {"b": B, "d": D}
    assert run.report()["exec"]["end"] - run.report()["exec"]["start"] == timedelta(seconds=5)


async def test_a_task_of_ones_own_may_join(task: Tasks, steps: None) -> None:
    """By `parents()`: each with a dict that is the task's to change."""
    came: list[tuple[str, list[str], dict[str, Any]]] = []

    @task
    async def mine(event: tukio.Event) -> None:
        parents = tukio.current_task().parents()
        async for uid, data in parents:
            came.append((uid, parents.expected, dict(data)))
            data["by"] = "changed"

    async with tukio.Engine() as engine:
        template = joining({}, b=2, c=1, d=("fails", {"seconds": 1.5}))
        template.tasks[4].name = "mine"
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert came == [("c", ["b", "d"], C), ("b", [], B)]
    assert run.outputs["c"] == C


# Its progress -------------------------------------------------------------------------------------


async def test_each_progress_of_a_join_is_a_snapshot(steps: None) -> None:
    """In 1.1.2 they all were one dict, in which a late reader found the end in each."""
    heard: list[Any] = []
    async with tukio.Engine() as engine, engine.subscribe(tukio.EXEC_TOPIC) as events:
        await engine.run_once(joining({"wait_for": 3}, b=2, c=1, d=3), {})
        engine.stop()
        await engine
        async for event in events:
            if event.data["type"] == "task-progress":
                content = event.data["content"]
                heard.append(([one["id"] for one in content["tasks"]], content["status"]))

    assert heard == [
        (["c"], "running"),
        (["c", "b"], "running"),
        (["c", "b", "d"], "running"),
        (["c", "b", "d"], "done"),
    ]


async def test_the_progress_of_a_join_costs_no_copy_of_each_parent(steps: None) -> None:
    """Ten thousand parents would be fifty million. What a listener does to them stays with it."""
    told: list[Any] = []

    def spoil(event: tukio.Event) -> None:
        if event.data["type"] == "task-progress":
            told.append(event.data["content"]["tasks"])
            told[-1][-1]["id"] = "spoiled"

    async with tukio.Engine() as engine:
        engine.broker.register(spoil, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(joining({"wait_for": 3}, b=2, c=1, d=3), {})
        await run.wait()

    assert [len(tasks) for tasks in told] == [1, 2, 3, 3]
    assert len({id(entry) for tasks in told for entry in tasks}) == 3
    join = next(task for task in run.report()["tasks"] if task["id"] == "j")
    assert [one["id"] for one in join["exec"]["reporting"]["tasks"]] == ["c", "b", "d"]


# Any graph ----------------------------------------------------------------------------------------


@given(graph=graphs(rooted=True), data=st.data())
@settings(max_examples=25)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_no_join_ever_hangs(backend: str, graph: Graph, data: st.DataObject) -> None:
    """Whatever fails on the way: a run of any graph whose merges are joins comes to its end.

    Each join has what all those brought who led to it, no more and no less.
    """
    parents = {uid: [up for up, downs in graph.items() if uid in downs] for uid in graph}
    joins = [uid for uid, ups in parents.items() if len(ups) > 1]
    others = [uid for uid in graph if uid not in joins]
    broken = data.draw(st.sets(st.sampled_from(others)))
    seconds = itertools.cycle(data.draw(st.lists(st.integers(0, 2), min_size=1)))

    tasks = Tasks()
    register_steps(tasks)
    try:
        names = dict.fromkeys(joins, "join") | dict.fromkeys(broken, "fails")
        template = flow(graph, names=dict.fromkeys(others, "after") | names)
        for task in template.tasks:
            task.config = {"seconds": next(seconds)}
            if task.uid in joins:
                task.config = {"wait_for": len(parents[task.uid]), "collect": "all"}
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(template, {})
            assert await run.wait() is FINISHED
    finally:
        tasks.forget()

    reached = {step.template.uid for step in run.tasks}
    for uid in joins:
        led_to_it = {up for up in parents[uid] if up in reached and up not in broken}
        assert (uid in reached) is bool(led_to_it)
        assert set(run.outputs.get(uid, ())) == led_to_it
