"""`tukio.again`: what failed in a run is run again, as a new run."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks

DIAMOND = {"a": ["b", "c"], "b": ["d"], "c": ["d", "e"], "d": [], "e": []}


@pytest.fixture
def ran() -> list[str]:
    """Return the ids of the tasks that have begun."""
    return []


@pytest.fixture
def broken() -> set[str]:
    """Return the ids of the tasks that fail."""
    return {"b"}


@pytest.fixture(autouse=True)
def _tasks(task: Tasks, ran: list[str], broken: set[str]) -> None:
    @task
    async def work(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        ran.append(uid)
        await anyio.sleep(1)
        if uid in broken:
            raise LookupError(uid)
        return {**event.data, uid: 1}


def diamond(join: str | None = "all", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a diamond with a tail; `d` waits for both of its parents."""
    template = flow(DIAMOND, uid="diamond", names=dict.fromkeys("abcde", "work"), **fields)
    template.tasks[3].join = join
    return template


async def report_of(template: tukio.WorkflowTemplate, act: Any = None) -> dict[str, Any]:
    """Run a workflow to its end, and return its report; do something to it after 1.5 s."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"n": 0})
        if act is not None:
            await anyio.sleep(1.5)
            act(run)
        await run.wait()
    return run.report()


async def run_again(
    template: tukio.WorkflowTemplate, report: dict[str, Any], steps: Any = None
) -> Any:
    """Run again what failed, or some tasks, to the end."""
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, tukio.again(report, steps))
        await run.wait()
    return run


def state_of(run: Any) -> dict[str, str | None]:
    """Return the state of each task."""
    return {task["id"]: task["exec"] and task["exec"]["state"] for task in run.report()["tasks"]}


async def test_what_failed_and_what_comes_after_runs_in_a_new_run(
    ran: list[str], broken: set[str]
) -> None:
    """The rest has its results from the old run, which stays what it is."""
    report = await report_of(diamond())
    before = deepcopy(report)
    assert sorted(ran) == ["a", "b", "c", "e"]
    ran.clear()
    broken.clear()
    run = await run_again(diamond(), report)
    assert ran == ["b", "d"]
    assert run.ok
    assert run.output == {
        "d": {"n": 0, **dict.fromkeys("abcd", 1)},
        "e": {"n": 0, **dict.fromkeys("ace", 1)},
    }
    assert report == before
    again = run.report()
    assert again["exec"]["forked_from"] == report["exec"]["id"] != again["exec"]["id"]
    kept = [task["exec"] for task in again["tasks"] if task["id"] in "ace"]
    assert kept == [task["exec"] for task in report["tasks"] if task["id"] in "ace"]


async def test_some_tasks_by_their_ids(ran: list[str], broken: set[str]) -> None:
    """Whether they went wrong or not; what failed elsewhere has failed in the new run, too."""
    report = await report_of(diamond())
    ran.clear()
    run = await run_again(diamond(), report, ["c"])
    # `d` waits for `b`, which has failed.
    assert ran == ["c", "e"]
    assert list(run.errors) == ["b"]
    ran.clear()
    broken.clear()
    run = await run_again(diamond(), report, iter(["b", "c"]))
    assert sorted(ran) == ["b", "c", "d", "e"]
    assert run.ok


async def test_without_a_join_a_task_after_it_has_the_data_of_the_others(
    ran: list[str], broken: set[str]
) -> None:
    """It starts with the first parent that is over: that is the one which is not run again."""
    report = await report_of(diamond(join=None))
    assert sorted(ran) == ["a", "b", "c", "d", "e"]
    ran.clear()
    broken.clear()
    run = await run_again(diamond(join=None), report)
    assert sorted(ran) == ["b", "d"]
    assert run.output["d"] == {"n": 0, "a": 1, "c": 1, "d": 1}


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_what_was_cut_runs_again(ran: list[str], broken: set[str], how: str) -> None:
    """A limit begins anew with the new run: else it would be over at once."""
    broken.clear()
    template = diamond(timeout=1.5 if how == "timeout" else None)
    report = await report_of(template, (lambda run: run.cancel()) if how == "cancel" else None)
    assert sorted(ran) == ["a", "b", "c"]
    ran.clear()
    template.timeout = 10 if how == "timeout" else None
    run = await run_again(template, report)
    assert sorted(ran) == ["b", "c", "d", "e"]
    assert run.ok
    assert run.report()["exec"].get("elapsed") == (2 if how == "timeout" else None)


async def test_the_attempts_of_a_task_begin_anew(ran: list[str]) -> None:
    """Those of the old run are in its report."""
    template = diamond()
    template.tasks[1].retry = {"attempts": 2, "jitter": "none"}
    report = await report_of(template)
    assert ran.count("b") == 2
    ran.clear()
    run = await run_again(template, report)
    assert ran == ["b", "b"]
    [b] = [task["exec"] for task in run.report()["tasks"] if task["id"] == "b"]
    assert len(b["attempts"]) == 1


async def test_it_is_a_report_like_any_other(ran: list[str], broken: set[str]) -> None:
    """It goes through JSON, is rescued more than once, and made again again."""
    report = tukio.again(json.loads(tukio.report_to_json(await report_of(diamond()))))
    text = tukio.report_to_json(report)
    ran.clear()
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(diamond(), tukio.report_from_json(text))
        await run.wait()
        half: Any = await engine.rescue(diamond(), json.loads(text))
        await anyio.sleep(0.5)
        unfinished = half.report()
        half.cancel()
    assert ran == ["b", "b"]
    second = tukio.again(run.report())
    assert second["exec"]["forked_from"] == run.uid != second["exec"]["id"]
    broken.clear()
    async with tukio.Engine() as engine:
        last: Any = await engine.rescue(diamond(), unfinished)
        await last.wait(check=True)
    assert last.report()["exec"]["forked_from"] == report["exec"]["forked_from"]


async def test_what_cannot_be_run_again_is_refused() -> None:
    """With what is wrong, before anything is made of it."""
    async with tukio.Engine() as engine:
        run = await engine.start(diamond(), {})
        await anyio.sleep(0.5)
        with pytest.raises(ValueError, match="not over: it is 'pending' - go on with it, by resc"):
            tukio.again(run.report())
        await run.wait()
    report = run.report()
    with pytest.raises(LookupError, match=r"'d' was not reached - those that have run: a, b, c, e"):
        tukio.again(report, ["d"])
    with pytest.raises(LookupError, match="'x' is not a task of the run"):
        tukio.again(report, ["a", "x"])
    for wrong in ("b", 3, [3], [], ["b", None]):
        with pytest.raises(TypeError, match="expected a list of task ids, not"):
            tukio.again(report, wrong)  # type: ignore[arg-type]
    with pytest.raises(tukio.RescueError, match="it has no data"):
        tukio.again(run.report(data=False))
    spoilt: Any
    for spoilt in (None, [], {}, {"exec": {}}, {"exec": 1}, {**report, "tasks": 1}):
        with pytest.raises(tukio.RescueError, match="not a whole report"):
            tukio.again(spoilt)


async def test_where_nothing_went_wrong_the_tasks_must_be_named(
    ran: list[str], broken: set[str]
) -> None:
    """There is no default that anybody would expect."""
    broken.clear()
    report = await report_of(diamond())
    with pytest.raises(ValueError, match="nothing went wrong - name the tasks to run again: a, b"):
        tukio.again(report)
    ran.clear()
    run = await run_again(diamond(), report, ["a"])
    assert sorted(ran) == ["a", "b", "c", "d", "e"]
    assert run.ok
