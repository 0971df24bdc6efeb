"""Faults of tukio 1.1.2, B18-B23, B25 and B26: rescued runs that stood still, or strayed."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


async def report_of(template: tukio.WorkflowTemplate, after: float = 1) -> Any:
    """Return the report of a run, so many seconds after its start; the run is cancelled then."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {"in": 0})
        await anyio.sleep(after)
        report = run.report()
        run.cancel()
        await run.wait()
    return report


async def rescued(template: tukio.WorkflowTemplate, report: Any) -> tuple[Any, list[str]]:
    """Return a rescued run after its end, and its story."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.rescue(template, report)
        await run.wait()
        assert engine.instances == []
    return run, kinds(story)


@pytest.mark.parametrize("seconds", [1, 11, 21], ids="abc")
async def test_b18_a_rescued_run_goes_on_by_itself(ran: list[str], seconds: float) -> None:
    """In 1.1.2 it stayed suspended until someone called `resume()`."""
    template = flow("a b c", names=dict.fromkeys("abc", "slow"))
    report = await report_of(template, seconds)
    left = ["a", "b", "c"][int(seconds // 10) :]
    ran.clear()
    run, _ = await rescued(template, report)

    assert run.state is FINISHED
    assert ran == left
    assert run.uid == report["exec"]["id"]
    assert run.outputs["c"] == {"in": 0, "a": 1, "b": 1, "c": 1}


async def test_b19_a_rescued_run_can_be_reported(ran: list[str]) -> None:
    """In 1.1.2 `report()` raised AttributeError for ever when a task was over by the rescue."""
    template = flow("a b", names={"a": "quick", "b": "slow"})
    report = await report_of(template)
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        await anyio.sleep(1)
        now = run.report()
        await run.wait()

    assert now["exec"]["id"] == report["exec"]["id"]
    assert now["exec"]["state"] == "pending"
    assert now["tasks"][0] == report["tasks"][0]
    assert [task["exec"]["state"] for task in run.report()["tasks"]] == ["finished", "finished"]


async def test_b20_the_rescue_of_a_complete_run_completes_at_once(ran: list[str]) -> None:
    """In 1.1.2 it never ended, and stayed among the instances."""
    template = flow("a b", names={"a": "quick", "b": "quick"})
    report = await report_of(template)
    ran.clear()
    start = anyio.current_time()
    run, story = await rescued(template, report)

    assert run.state is FINISHED
    assert ran == []
    assert anyio.current_time() == start
    assert story[-1] == "workflow-end"


@pytest.mark.parametrize("how", ["none", "skip"])
async def test_b21_a_parent_that_passed_its_inputs_on_does_so_again(
    task: Tasks, ran: list[str], how: str
) -> None:
    """In 1.1.2 a parent that returned None, or was skipped, made it a ValueError and a zombie."""

    @task
    async def a(event: tukio.Event) -> None:
        event.data["mine"] = 1
        if how == "skip":
            raise tukio.SkipTask("why")

    template = flow("a b c", names={"b": "slow", "c": "quick"})
    report = await report_of(template)
    # As if the crash had come before b was due: 1.1.2 wrote such reports.
    for gone in (False, True):
        if gone:
            report = deepcopy(report)
            report["tasks"][1]["exec"] = None
        ran.clear()
        run, _ = await rescued(template, report)
        assert run.state is FINISHED
        assert ran == ["b", "c"]
        assert run.outputs["b"] == {"in": 0, "b": 1}


@pytest.mark.parametrize("error", [KeyError("x"), tukio.TukioTaskError({"code": 3})])
async def test_b22_a_failed_task_leads_to_nothing_in_a_rescue(
    task: Tasks, ran: list[str], error: Exception
) -> None:
    """In 1.1.2 its successors ran with the error's output; without one it was a fault as B21."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise error

    graph = {"a": ["fails", "c"], "fails": ["b"]}
    template = flow(graph, names={"a": "quick", "b": "quick", "c": "slow"})
    report = await report_of(template)
    ran.clear()
    run, _ = await rescued(template, report)

    assert run.state is FINISHED
    assert ran == ["c"]
    assert list(run.errors) == ["fails"]


async def test_b23_a_task_that_was_not_chosen_is_not_run_by_a_rescue(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 did not keep the decision, and ran it."""

    @task
    async def router(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["b"])

    template = flow({"router": ["b", "c"]}, names={"b": "slow", "c": "quick"})
    report = await report_of(template)
    assert report["tasks"][0]["exec"]["chosen"] == ["b"]
    ran.clear()
    run, _ = await rescued(template, report)

    assert run.state is FINISHED
    assert ran == ["b"]


async def test_b25_a_rescued_run_ends_after_its_last_task(ran: list[str]) -> None:
    """In 1.1.2 D was started after `workflow-end`, now and then: a race on the order of a set."""
    template = flow({"a": ["b", "c"], "c": ["d"]}, names=dict.fromkeys("abcd", "quick"))
    report = await report_of(template)
    # As if the crash had come right after b and c had ended.
    report["tasks"][3]["exec"] = None
    report["exec"] |= {"end": None, "state": "pending"}
    ran.clear()
    run, story = await rescued(template, report)

    assert run.state is FINISHED
    assert ran == ["d"]
    assert story == ["task-begin d", "workflow-begin", "task-end d", "workflow-end"]


BAD: dict[str, Any] = {
    "never started": lambda report: report["exec"].update(start=None),
    "root never due": lambda report: report["tasks"][0].update(exec=None),
    "a task is missing": lambda report: report["tasks"].pop(0),
    "no start": lambda report: report["exec"].pop("start"),
    "a state of no kind": lambda report: report["tasks"][0]["exec"].update(state="zzz"),
    "no exec": lambda report: report.pop("exec"),
    "a stranger": lambda report: report["tasks"][0].update(id="zzz"),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
async def test_b26_a_bad_report_is_refused_before_anything_starts(
    ran: list[str], spoil: Any
) -> None:
    """In 1.1.2 it was one of many errors, and a zombie stayed among the instances."""
    template = flow("a b", names={"a": "quick", "b": "slow"})
    report = await report_of(template)
    spoil(report)
    ran.clear()
    async with tukio.Engine() as engine:
        story = listen(engine)
        with pytest.raises(tukio.RescueError):
            await engine.rescue(template, report)
        assert engine.instances == []

    assert ran == []
    assert story == []


async def test_b26_a_rescued_run_has_what_is_left_of_its_limit(ran: list[str]) -> None:
    """In 1.1.2 the limit of the workflow was not set again."""
    template = flow("a b", names=dict.fromkeys("ab", "slow"), timeout=15)
    report = await report_of(template, 12)
    start = anyio.current_time()
    run, _ = await rescued(template, report)

    assert run.state is tukio.FutureState.timeout
    assert anyio.current_time() - start == 3
