"""How data flows in tukio 1.1.2 is kept: results, skips, errors, routes and diamonds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, listen, states, step_of
from tukio.task import TukioTaskError
from tukio.testing.clock import settle
from tukio.utils import SkipTask

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

QUICK = dict.fromkeys("abcdejk", "quick")
FORK = {"a": ["b", "c"]}
DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}


def one(name: str, uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one task, `a`."""
    return flow("a", names={"a": name}, id=uid, **fields)


# Data ---------------------------------------------------------------------------------------------


async def test_a_result_goes_to_each_successor_as_an_event_of_its_own(task: Tasks) -> None:
    """From the parent, by its four ids; no topic; copied one level deep."""
    got: dict[str, Any] = {}
    output: dict[str, Any] = {"nested": []}

    @task
    async def a(event: tukio.Event) -> Any:
        return output

    async def keeps(event: tukio.Event) -> None:
        got[tukio.current_task().template.uid] = event

    task(keeps)
    async with tukio.Engine() as engine:
        template = flow(FORK, names={"b": "keeps", "c": "keeps"})
        run: Any = await engine.run_once(template, {})
        await run.wait()

    assert {uid: (event.data, event.topic) for uid, event in got.items()} == {
        "b": (output, None),
        "c": (output, None),
    }
    assert (
        got["b"].source.as_dict()
        == got["c"].source.as_dict()
        == {
            "workflow_template_id": "flow",
            "workflow_exec_id": run.uid,
            "task_template_id": "a",
            "task_exec_id": step_of(run, "a").uid,
        }
    )
    assert got["b"] is not got["c"]
    assert got["b"].data is not got["c"].data
    assert got["b"].data["nested"] is got["c"].data["nested"] is output["nested"]


async def test_of_an_event_that_is_returned_only_the_data_goes_on(task: Tasks) -> None:
    """Its topic and source are dropped."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> tukio.Event:
        return tukio.Event({"n": 1}, "topic", tukio.EventSource("w"))

    @task
    async def b(event: tukio.Event) -> None:
        got.append((event.data, event.topic, event.source and event.source.as_dict()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b"), {})
        await run.wait()

    assert got == [({"n": 1}, None, step_of(run, "a").source.as_dict())]
    assert run.outputs["a"] == {"n": 1}


async def test_a_task_that_returns_none_passes_its_inputs_on(task: Tasks, ran: list[str]) -> None:
    """Its own outputs stay None."""

    @task
    async def none(event: tukio.Event) -> None:
        event.data["changed"] = True

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "none", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        await run.wait()

    assert execution(run, "b")["outputs"] is None
    assert execution(run, "c")["inputs"] == {"a": 1}
    assert states(run) == dict.fromkeys("abc", "finished")


@pytest.mark.parametrize("result", ["text", 5, [1], ("x",), False], ids=repr)
async def test_a_leaf_may_return_anything(task: Tasks, result: Any) -> None:
    """It is in the report and in the event."""

    @task
    async def leaf(event: tukio.Event) -> Any:
        return result

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("leaf"), {})
        assert await run.wait() is FINISHED

    assert execution(run, "leaf")["outputs"] == result
    assert story[-2] == ("task-end", "leaf", result)


async def test_a_skipped_task_passes_its_inputs_on(task: Tasks, ran: list[str]) -> None:
    """Its state is `skipped`, and it has no outputs."""

    @task
    async def skips(event: tukio.Event) -> None:
        raise SkipTask("why")

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "skips", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "finished", "b": "skipped", "c": "finished"}
    assert execution(run, "b")["outputs"] is None
    assert execution(run, "c")["inputs"] == {"a": 1}


@pytest.mark.parametrize(
    ("error", "outputs"),
    [
        (TukioTaskError({"code": 3}), {"code": 3}),
        (TukioTaskError("text"), "text"),
        (KeyError("boom"), None),
    ],
    ids=["data", "text", "error"],
)
async def test_an_error_stops_its_branch_and_no_other(
    task: Tasks, ran: list[str], error: Exception, outputs: Any
) -> None:
    """The run ends `finished`; a task error has an output."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise error

    graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=QUICK | {"b": "fails"}), {})
        assert await run.wait() is FINISHED

    assert states(run) == {
        "a": "finished",
        "b": "exception",
        "c": "finished",
        "d": None,
        "e": "finished",
    }
    assert execution(run, "b")["outputs"] == outputs
    assert ran == ["a", "c", "e"]


async def test_a_cancelled_task_stops_its_branch_and_no_other(ran: list[str]) -> None:
    """The run goes on and ends `finished`."""
    graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=QUICK | {"b": "slow"}), {})
        await anyio.sleep(1)
        step_of(run, "b").cancel()
        assert await run.wait() is FINISHED

    assert states(run) == {
        "a": "finished",
        "b": "cancelled",
        "c": "finished",
        "d": None,
        "e": "finished",
    }


@as_in_1_x
async def test_a_task_that_raises_cancelled_error_is_cancelled(task: Tasks, ran: list[str]) -> None:
    """It is no error; its branch stops."""

    @task
    async def gives_up(event: tukio.Event) -> None:
        raise asyncio.CancelledError

    async with tukio.Engine() as engine:
        names = QUICK | {"b": "gives_up"}
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "finished", "b": "cancelled", "c": "finished", "d": None}
    assert run.errors == {}


# Routing ------------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[list[Any], list[str]]] = {
    "some": ([["c"]], ["c"]),
    "in another order": ([["d", "b"]], ["b", "d"]),
    "one twice": ([["c", "c"]], ["c"]),
    "none": ([[]], []),
    "the last counts": ([["b"], [], ["c", "d"]], ["c", "d"]),
    "another iterable": ([("b",)], ["b"]),
}


@pytest.mark.parametrize(("choices", "led_to"), CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("skips", [False, True])
async def test_a_task_chooses_where_it_leads_to(
    task: Tasks, ran: list[str], choices: list[Any], led_to: list[str], skips: bool
) -> None:
    """Also if it is skipped afterwards; the order is the declared one."""

    @task
    async def router(event: tukio.Event) -> None:
        for choice in choices:
            tukio.current_workflow().set_next_tasks(choice)
        if skips:
            raise SkipTask

    async with tukio.Engine() as engine:
        template = flow({"a": ["b", "c", "d"]}, names=QUICK | {"a": "router"})
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert ran == led_to


async def test_only_a_task_of_the_workflow_chooses(task: Tasks, ran: list[str]) -> None:
    """Neither code outside, nor a task of another: that is a RuntimeError."""
    refused: list[str] = []

    @task
    async def meddles(event: tukio.Event) -> None:
        with pytest.raises(RuntimeError) as error:
            run.set_next_tasks([])
        refused.append(type(error.value).__name__)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b", names=QUICK | {"a": "slow"}), {})
        await settle()
        with pytest.raises(RuntimeError):
            run.set_next_tasks([])
        other: Any = await engine.run_once(flow("meddles"), {})
        await other.wait()

    assert len(refused) == 1
    assert ran == ["a", "b"]


async def test_to_choose_a_task_that_does_not_follow_changes_nothing(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 logged such ids and used the others; now the call raises and the choice stays."""
    caught: list[type[Exception]] = []

    @task
    async def router(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["c"])
        for ids in (["b", "d"], ["zz"], "b"):
            try:
                tukio.current_workflow().set_next_tasks(ids)
            except (LookupError, TypeError) as error:
                caught.append(type(error))

    async with tukio.Engine() as engine:
        names = QUICK | {"a": "router"}
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        assert await run.wait() is FINISHED

    assert caught == [LookupError, LookupError, TypeError]
    assert ran == ["c"]


async def test_leaves_may_be_left_out_of_the_graph(ran: list[str]) -> None:
    """They have no successors."""
    document = {
        "id": "flow",
        "tasks": [{"id": uid, "name": "quick"} for uid in "abc"],
        "graph": {"a": ["b", "c"]},
    }
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tukio.WorkflowTemplate.from_dict(document), {})
        assert await run.wait() is FINISHED

    assert ran == ["a", "b", "c"]
    assert run.report()["graph"] == {"a": ["b", "c"], "b": [], "c": []}


# Diamonds without a join --------------------------------------------------------------------------


@pytest.fixture
def merge(task: Tasks, ran: list[str]) -> dict[str, Any]:
    """Register `merge`, whose times to take are the config's, and say what it got."""
    got: dict[str, Any] = {"begun": []}

    class merge(tukio.TaskHolder):  # noqa: N801 - named as it is registered
        async def execute(self, event: tukio.Event) -> None:
            got["begun"].append(event.data)
            await anyio.sleep(self.config["takes"])
            queue: Any = self.queue
            events = [queue.get_nowait() for _ in range(queue.qsize())]
            got["late"] = [
                (late.data, late.source.as_dict()["task_template_id"]) for late in events
            ]

    task(merge)
    return got


def merging(takes: float, graph: Any = None, **names: str) -> tukio.WorkflowTemplate:
    """Return a diamond to task `d`, a `merge`."""
    template = flow(graph or DIAMOND, names=QUICK | {"d": "merge"} | names)
    (end,) = [task for task in template.tasks if task.uid == "d"]
    end.config = {"takes": takes}
    return template


async def test_a_task_with_two_parents_starts_with_the_first(merge: dict[str, Any]) -> None:
    """It runs once; the data of the other lands in its queue, with its source."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(20, b="slow"), {})
        await anyio.sleep(11)
        assert step_of(run, "d").queue.qsize() == 1
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1, "c": 1}]
    assert merge["late"] == [({"a": 1, "b": 1}, "b")]
    assert anyio.current_time() - start == 20


async def test_a_parent_that_is_too_late_is_dropped(merge: dict[str, Any]) -> None:
    """Its task is over: nobody runs it again."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(1, b="slow"), {})
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1, "c": 1}]
    assert merge["late"] == []
    assert step_of(run, "d").queue.qsize() == 0


async def test_a_shortcut_starts_its_task_at_once(merge: dict[str, Any]) -> None:
    """A to D as well as A to B to D."""
    async with tukio.Engine() as engine:
        template = merging(20, {"a": ["b", "d"], "b": ["d"]}, b="slow")
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert merge["begun"] == [{"a": 1}]
    assert merge["late"] == [({"a": 1, "b": 1}, "b")]


@pytest.mark.parametrize("name", ["quick", "slow"])
async def test_parents_that_end_together_lead_to_one_task(merge: dict[str, Any], name: str) -> None:
    """The other one is in its queue."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(merging(1, b=name, c=name), {})
        assert await run.wait() is FINISHED

    # Of two sleeps that end at the same instant, either may be the first on trio.
    first, late = ("b", "c") if {"b": 1}.items() <= merge["begun"][0].items() else ("c", "b")
    assert merge["begun"] == [{"a": 1, first: 1}]
    assert merge["late"] == [({"a": 1, late: 1}, late)]
