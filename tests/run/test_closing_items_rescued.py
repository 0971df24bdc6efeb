"""What undoes the items of a mapped task, after a rescue from a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, step_of
from support.keeping import KeepingEngine
from support.undone import ONE_TWO_THREE, Undo, ended, ids, of_three, register, taking
from tukio._model.facts import ItemDue, ItemEnded, StepEnded, from_body, to_body
from tukio._model.record import read
from tukio._model.rescue import facts_of
from tukio._model.shape import shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.flow import Tasks
    from tukio._model.facts import Fact


@pytest.fixture
def undone(task: Tasks) -> list[Undo]:
    """Register what is run; give what is undone."""
    return register(task)


def stored(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report as a database gives it back that keeps no order of keys."""
    text = tukio.report_to_json(report)
    return tukio.report_from_json(json.dumps(json.loads(text), sort_keys=True))


async def reported(template: Any, data: Any, *, after: float | None = None) -> list[dict[str, Any]]:
    """Return the report of a run after a while; or else one at each of its events."""
    reports: list[dict[str, Any]] = []
    async with tukio.Engine() as engine:
        if after is None:
            engine.broker.register(lambda _: reports.append(run.report()), tukio.EXEC_TOPIC)
        run = await engine.start(template, data if isinstance(data, dict) else {"list": data})
        if after is not None:
            await anyio.sleep(after)
            reports.append(run.report())
            run.cancel()
        await run.wait()
    return reports


async def rescued(
    template: Any, report: dict[str, Any], act: Callable[[Any], object] | None = None
) -> Any:
    """Go on from a report, to the end; do something to the run at once."""
    async with tukio.Engine() as engine:
        run = await engine.rescue(template, stored(report))
        if act is not None:
            await anyio.sleep(0.25)
            act(run)
        await run.wait()
    return run


def cancel(run: Any) -> None:
    """Cancel a run."""
    run.cancel()


# While it closes


async def test_a_rescue_goes_on_undoing(undone: list[Undo]) -> None:
    """At each event, through JSON: what was undone is not undone again, and the order is kept."""
    every = ["each[1]", "other", "each[0]"]
    reports = await reported(of_three(), ONE_TWO_THREE)
    assert ids(undone) == every
    over: list[int] = []
    for report in reports[:-1]:
        undone.clear()
        run = await rescued(of_three(), report)
        if "ending" in report["exec"]:
            over.append(sum(one["exec"]["end"] is not None for one in report["closing"]))
            assert ids(undone) == every[over[-1] :]
        assert [one.undoes.template.uid for one in run.closing] == every
        assert run.report()["exec"]["order"][-1] == "end"
        assert run.status == "failed"
    assert over == [0, 0, 1, 1, 2, 2, 3]


async def test_what_had_begun_is_undone_after_a_rescue(undone: list[Undo]) -> None:
    """What was cut with the whole, and what has failed: the report tells of both."""
    items = [{}, {"takes": 1.5, "bad": 1}, {"skips": True}, {"takes": 9}]
    template = taking(undo={"name": "give_back", "begun": True})
    [report] = await reported(template, items, after=3)
    shown = execution_in(report)["items"]
    assert (shown["begun"], shown["skipped"], sorted(shown["done"])) == ([3], [2], ["0", "2"])
    assert ids(undone) == ["each[3]", "each[1]", "each[0]"]
    undone.clear()
    await rescued(template, report)
    # The first one was over in the report.
    assert ids(undone) == ["each[1]", "each[0]"]


async def test_how_far_one_has_come_that_has_failed(undone: list[Undo], task: Tasks) -> None:
    """What undoes it gets the output that it has failed with, before a rescue and after it."""

    @task
    async def books(event: tukio.Event) -> None:
        data: dict[str, Any] = event.data
        await anyio.sleep(data["takes"])
        raise tukio.TukioTaskError(data["output"])

    items = [
        {"takes": 1, "output": {"booked": 3}},
        {"takes": 2, "output": 5},
        {"takes": 3, "output": None},
    ]
    undo = {"name": "give_back", "begun": True}
    template = taking("waits", undo, {"name": "books"}, tolerate="all")
    before = (await reported(template, items, after=2.5))[0]
    given = [items[2], {"output": 5}, {"booked": 3}]
    assert [one.given for one in undone] == given
    assert execution_in(before)["items"]["outputs"] == {"0": {"booked": 3}, "1": 5}
    for report in (before, (await reported(template, items, after=4))[0]):
        undone.clear()
        run = await rescued(template, report, cancel)
        shown = [(one.given, one.undoes.outputs) for one in undone]
        assert shown[-2:] == [({"output": 5}, 5), ({"booked": 3}, {"booked": 3})]
        again = run.report()
        assert execution_in(again)["items"]["outputs"] == {"0": {"booked": 3}, "1": 5}
        assert "outputs" not in execution_in(run.report(data=False))["items"]


def execution_in(report: dict[str, Any], uid: str = "each") -> Any:
    """Return what a report shows of a task."""
    [found] = [task["exec"] for task in report["tasks"] if task["id"] == uid]
    return found


# Later


async def test_what_was_over_before_is_undone_later(undone: list[Undo]) -> None:
    """In the order of the ends, of which some were before."""
    [report] = await reported(of_three(), ONE_TWO_THREE, after=2.5)
    assert report["exec"]["order"] == ["split", "each[0]", "other"]
    undone.clear()
    run = await rescued(of_three(), report)
    assert ids(undone) == ["each[1]", "other", "each[0]"]
    assert undone[2].undoes.inputs == {"takes": 1}
    order = ["split", "each[0]", "other", "each[1]", "each", "end"]
    assert run.report()["exec"]["order"] == order
    undone.clear()
    await rescued(of_three(), report, cancel)
    assert ids(undone) == ["other", "each[0]"]


async def test_a_map_that_was_over_before(undone: list[Undo]) -> None:
    """Its outputs have the results; of one that has failed, the report has them apart."""
    items = [{"takes": 2}, {"takes": 9}, {"bad": 1}, {"takes": 1.5}, {"skips": True}]
    template = taking("waits", timeout=4, tolerate=1)
    [report] = await reported(template, items, after=6)
    assert "done" not in execution_in(report)["items"]
    undone.clear()
    run = await rescued(template, report, cancel)
    assert ids(undone) == ["each[1]", "each[0]", "each[3]"]
    assert [one.given for one in undone] == [{"takes": 9}, {"of": 0}, {"of": 3}]
    assert undone[0].undoes.state.value == "timeout"
    again = execution(run, "each")["items"]
    assert again == execution_in(report)["items"]
    undone.clear()
    template = taking("waits", keys={"on_error": {"output": {}}}, tolerate=0)
    [report] = await reported(template, [{}, {"takes": 2, "bad": 1}], after=6)
    assert execution_in(report)["items"]["done"] == {"0": {"of": 0}}
    undone.clear()
    await rescued(template, report, cancel)
    assert ids(undone) == ["each[0]"]


@pytest.mark.parametrize("after", [2.5, 6])
async def test_a_report_without_the_order_of_items(undone: list[Undo], after: float) -> None:
    """As those had that were made before: they are undone where their task has ended, or first."""
    template = of_three("waits")
    data = {"list": [{"takes": 2}, {"takes": 1}, {"takes": 4}], "other": 2.25}
    [report] = await reported(template, data, after=after)
    for given in (["split", "other", "each"], None):
        whole_is_over = after > 4
        report["exec"]["order"] = given if given is None or whole_is_over else given[:2]
        undone.clear()
        await rescued(template, report, cancel)
        items = [f"each[{place}]" for place in ([2, 1, 0] if whole_is_over else [1, 0])]
        assert ids(undone) == [*items, "other"]


async def test_the_facts_agree_with_the_report(undone: list[Undo]) -> None:
    """The ends of items stand among those of tasks, in both."""
    template = of_three("waits")
    template["tasks"][0]["compensate"] = {"name": "give_back", "begun": True}
    data = {"list": [{"takes": 1}, {"skips": True, "takes": 3}, {"takes": 9}], "other": 2}
    made = tukio.WorkflowTemplate.from_dict(template)
    async with KeepingEngine() as engine:
        run = await engine.start(made, data)
        await anyio.sleep(4)
        report = stored(run.report())
        kept = told(from_body(to_body(fact)) for fact in engine.facts_of(run))
        run.cancel()
    facts = facts_of(read(report, made), shape_of(made))
    assert kept == ["split", ("each", 0, "finished"), "other", ("each", 1, "skipped")]
    assert told(facts) == kept
    assert [fact.place for fact in facts if isinstance(fact, ItemDue)] == [2]


def told(facts: Iterable[Fact]) -> list[Any]:
    """Return what has ended, in order."""
    return [
        fact.task if isinstance(fact, StepEnded) else (fact.task, fact.place, fact.state.value)
        for fact in facts
        if isinstance(fact, StepEnded | ItemEnded)
    ]


# What is refused


async def test_a_result_that_was_lost_is_not_undone_by(undone: list[Undo]) -> None:
    """Wherever the report has it."""
    items = [{"gives": {"n": 1}}, {}]
    [report] = await reported(taking(), items, after=2.5)
    execution_in(report)["outputs"]["results"][0] = object()
    lost = "was lost on its way through JSON"
    with pytest.raises(tukio.RescueError, match=rf"each.outputs.results\[0\] {lost}"):
        await rescued(taking(), report)
    [report] = await reported(taking(), [*items, {"takes": 2, "bad": 1}], after=2.5)
    execution_in(report)["items"]["done"]["0"]["n"] = object()
    with pytest.raises(tukio.RescueError, match=f"each.items.done.0.n {lost}"):
        await rescued(taking(), report)


async def test_results_that_are_missing(undone: list[Undo]) -> None:
    """Nobody could tell what to undo."""
    [report] = await reported(taking("waits"), [{}, {}], after=3)
    del execution_in(report)["outputs"]["results"]
    with pytest.raises(tukio.RescueError, match="the results of 'each' are not in it"):
        await rescued(taking("waits"), report)


async def test_a_task_of_closing_that_is_none(undone: list[Undo]) -> None:
    """What undoes an item of a task that is not mapped, or that is not undone."""
    [report] = await reported(taking(), [{}, {}], after=2.5)
    for uid in ("each.compensate", "end[0].compensate", "each[x].compensate", "each[0]"):
        report["closing"][0]["id"] = uid
        with pytest.raises(tukio.RescueError, match="closes with tasks that are not in the templ"):
            await rescued(taking(), report)


async def test_again_runs_a_map_anew_of_which_an_item_was_undone(undone: list[Undo]) -> None:
    """All of it, and what came after; its items are not in the order of ends any more."""
    run = await ended(of_three("waits"), ONE_TWO_THREE, cancel, 3.5)
    assert ids(undone) == ["each[1]", "other", "each[0]"]
    fresh = tukio.again(run.report())
    assert fresh["exec"]["order"] == ["split"]
    undone.clear()
    again = await rescued(of_three("fine"), fresh)
    assert again.ok is True
    assert step_of(again, "each").outputs["results"] == [{"of": 0}, {"of": 1}]
