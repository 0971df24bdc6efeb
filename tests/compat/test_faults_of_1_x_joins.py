"""Faults of tukio 1.1.2, B05, B06 and B24: joins that hung, or counted wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


REFUSED: dict[str, Any] = {
    "0": 0,
    "3 of 2": 3,
    "True": True,
    "2.0": 2.0,
    "a text": "bc",
    "a tuple": ("b", "c"),
    "nobody": [],
    "one twice": ["b", "b"],
    "one of two twice": ["b", "c", "b"],
    "a stranger": ["b", "zz"],
}


def joining(wait_for: Any, names: dict[str, str], **fields: Any) -> tukio.WorkflowTemplate:
    """Return a -> b, c -> join j -> k, where `a` and `k` are `quick`."""
    names = {"a": "quick", "j": "join", "k": "quick"} | names
    template = flow({"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}, names=names, **fields)
    join = template.tasks[3]
    join.config = {} if wait_for is None else {"wait_for": wait_for}
    return template


@pytest.mark.parametrize("wait_for", REFUSED.values(), ids=REFUSED)
async def test_b05_a_join_that_could_never_be_satisfied_is_refused(
    ran: list[str], wait_for: Any
) -> None:
    """1.1.2 ran it and hung; now the template is refused, with the path of the fault."""
    template = joining(wait_for, {"b": "quick", "c": "quick"})
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.TemplateError) as refused:
            await engine.load(template)
        with pytest.raises(tukio.TemplateError):
            await engine.run_once(template, {})

    assert all(fault.path.startswith("tasks[3].config.wait_for") for fault in refused.value.faults)
    assert ran == []


async def test_b05_a_join_without_wait_for_is_refused(ran: list[str]) -> None:
    """1.1.2 logged a KeyError per parent, dropped the join and finished; now it is a fault."""
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.TemplateError, match="wait_for"):
            await engine.load(joining(None, {"b": "quick", "c": "quick"}))


@pytest.mark.parametrize("wait_for", [1, ["b"], ["c"]], ids=["1", "b", "c"])
async def test_b05_a_join_may_wait_for_one_parent(ran: list[str], wait_for: Any) -> None:
    """1.1.2 threw the verdict on its first event away and hung; here b always comes first."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(joining(wait_for, {"b": "quick", "c": "slow"}), {})
        assert await run.wait() is FINISHED
        assert anyio.current_time() - start == 10

    report = run.report()
    waited = report["tasks"][4]["exec"]["start"] - report["exec"]["start"]
    assert waited.total_seconds() == (10 if wait_for == ["c"] else 0)
    assert ran == ["a", "b", "c", "k"]


@pytest.mark.parametrize("wait_for", [2, ["b", "c"]], ids=["2", "both"])
async def test_b05_a_join_does_not_wait_for_a_parent_that_failed(
    task: Tasks, ran: list[str], wait_for: Any
) -> None:
    """1.1.2 hung until a limit or a cancel; now it goes on with those that came."""

    @task
    async def fails(event: tukio.Event) -> None:
        await anyio.sleep(5)
        raise KeyError("c")

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(joining(wait_for, {"b": "quick", "c": "fails"}), {})
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 5
    assert run.outputs["k"] == {"a": 1, "b": 1, "k": 1}


async def test_b05_a_join_does_not_wait_for_a_parent_that_was_cancelled(ran: list[str]) -> None:
    """1.1.2 hung here, too."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(joining(2, {"b": "quick", "c": "slow"}), {})
        await anyio.sleep(1)
        (step,) = (step for step in run.tasks if step.template.uid == "c")
        step.cancel()
        assert await run.wait() is FINISHED

    assert ran == ["a", "b", "c", "k"]


async def test_b05_a_join_does_not_wait_for_a_parent_that_was_not_chosen(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 hung here, too."""

    @task
    async def router(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["b"])

    names = {"a": "router", "b": "quick", "c": "quick"}
    async with tukio.Engine() as engine:
        run = await engine.run_once(joining(["b", "c"], names), {})
        assert await run.wait() is FINISHED

    assert ran == ["b", "k"]


async def test_b05_a_join_as_root_is_refused(ran: list[str]) -> None:
    """In 1.1.2 it failed with an AttributeError about its event's source."""
    template = flow("j k", names={"j": "join", "k": "quick"})
    template.tasks[0].config = {"wait_for": 1}
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.TemplateError, match="wait_for"):
            await engine.load(template)


@pytest.mark.parametrize("topics", [None, ["news"]], ids=["everything", "news"])
async def test_b05_a_join_is_not_confused_by_events_of_topics(
    ran: list[str], topics: list[str] | None
) -> None:
    """In 1.1.2 they counted as parents, or made it fail; now only parents count."""
    template = joining(2, {"b": "quick", "c": "slow"}, topics=["start"])
    template.tasks[3].topics = topics
    async with tukio.Engine() as engine:
        listen(engine)
        run = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({"n": 1}, "news")
        assert await run.wait() is FINISHED

    reporting = run.report()["tasks"][3]["exec"]["reporting"]
    assert [parent["id"] for parent in reporting["tasks"]] == ["b", "c"]


@pytest.mark.parametrize("wait_for", [2, ["b", "c"]], ids=["2", "both"])
async def test_b06_a_join_that_was_suspended_still_knows_who_has_come(
    ran: list[str], wait_for: Any
) -> None:
    """1.1.2 started it from nothing: it counted itself as a parent, or hung."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(joining(wait_for, {"b": "quick", "c": "slow"}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        assert await run.wait() is FINISHED

    reporting = run.report()["tasks"][3]["exec"]["reporting"]
    assert [parent["id"] for parent in reporting["tasks"]] == ["b", "c"]
    assert reporting["status"] == "done"
    assert run.outputs["k"] == {"a": 1, "b": 1, "k": 1}


async def report_with(ran: list[str], done: int) -> tuple[Any, Any]:
    """Return a template with a join of three parents, and a report with so many of them done."""
    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    parents = {uid: "quick" if place < done else "slow" for place, uid in enumerate("bcd")}
    names = {"a": "quick", "j": "join", "k": "quick"} | parents
    template = flow(graph, names=names)
    template.tasks[4].config = {"wait_for": 3}
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
    ran.clear()
    return template, report


@pytest.mark.parametrize("done", [1, 2])
async def test_b24_a_rescued_join_is_one_task(ran: list[str], done: int) -> None:
    """1.1.2 made one join per parent that was done: with two of three, it hung."""
    template, report = await report_with(ran, done)
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.rescue(template, report)
        assert await run.wait() is FINISHED

    assert ran == ["c", "d", "k"][done - 1 :]
    assert [uid for kind, uid, _ in story if kind == "task-begin"].count("j") == 1
    reporting = run.report()["tasks"][4]["exec"]["reporting"]
    assert sorted(parent["id"] for parent in reporting["tasks"]) == ["b", "c", "d"]
    assert run.outputs["k"] == {"a": 1, "b": 1, "k": 1}
