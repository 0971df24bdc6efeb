"""A report is replayed: the engine takes the path that it has recorded, or says where not."""

from __future__ import annotations

import re
from contextlib import suppress
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.gallery import WORKFLOWS, register_tasks
from support.hurry import hurry
from tukio._model.plan import Plan
from tukio._model.registry import TaskRegistry
from tukio.testing import ReplayDiffers, act_everywhere, replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

    Data = dict[str, Any]

INSTANT = r"(?<=\")\d{4}-\d\d-\d\dT[\d:.]+\+00:00(?=\")"
ID = r"(?<=\")[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\")"


async def recorded(task: Tasks, template: tukio.WorkflowTemplate) -> list[dict[str, Any]]:
    """Return the report of a run after each of its events, and forget its tasks."""
    reports: list[dict[str, Any]] = []
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        engine.broker.register(lambda event: reports.append(run.report()), tukio.EXEC_TOPIC)
        await run.wait()
        reports.append(run.report())
    task.forget()
    return reports


def apart(reports: list[Data]) -> list[Data]:
    """Return reports, each once, for a run has many points between two of its events.

    Two are the same if nothing differs but ids, and when the runs began.
    """
    return list({told(report): report for report in reports}.values())


def told(report: Data) -> str:
    """Return a report in words: instants are counted from its begin, ids by their first places."""
    begun, ids = report["exec"]["start"], dict[str, str]()

    def since(found: re.Match[str]) -> str:
        return str(datetime.fromisoformat(found[0]) - begun)

    def place(found: re.Match[str]) -> str:
        return ids.setdefault(found[0], f"id {len(ids)}")

    return re.sub(INSTANT, since, re.sub(ID, place, tukio.report_to_json(report)))


@pytest.mark.parametrize("name", WORKFLOWS)
async def test_a_report_taken_at_any_moment_is_replayed(task: Tasks, name: str) -> None:
    """Also through JSON; no task need be registered any more."""
    hurry()
    register_tasks(task)
    for report in await recorded(task, WORKFLOWS[name]):
        await replay(report)
        await replay(tukio.report_from_json(tukio.report_to_json(report)))


@pytest.mark.parametrize("word", ["cancel", "timeout", "suspend"])
@pytest.mark.parametrize("name", WORKFLOWS)
async def test_a_run_that_was_stopped_anywhere_is_replayed(
    task: Tasks, name: str, word: str
) -> None:
    """Wherever it was cut off."""
    hurry()
    register_tasks(task)
    reports: list[dict[str, Any]] = []

    async def make_run(engine: tukio.Engine) -> Any:
        return await engine.run_once(WORKFLOWS[name], {"in": 0})

    def act(run: tukio.Workflow) -> None:
        getattr(run, word)()
        reports.append(run.report())
        run.cancel()

    def check(run: tukio.Workflow, timeline: object) -> None:
        reports.append(run.report())

    await act_everywhere(make_run, act, check)
    task.forget()
    for report in apart(reports):
        await replay(report)


async def test_a_report_of_a_run_that_is_being_stopped_is_replayed(task: Tasks) -> None:
    """It does not say so, but what had ended led to nothing any more."""
    hurry()

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def unwinds(event: tukio.Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)

    @task
    async def never(event: tukio.Event) -> None:
        raise AssertionError

    @task
    async def swallows(event: tukio.Event) -> None:
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()

    reports: list[Data] = []
    template = flow({"root": ["swallows", "unwinds"], "swallows": ["never"]})
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        engine.broker.register(lambda event: reports.append(run.report()), tukio.EXEC_TOPIC)
        await anyio.sleep(1)
        run.cancel()
    task.forget()
    ended = [execution(report, "unwinds") for report in reports if report["exec"]["end"] is None]
    assert ended[-1]["state"] == "cancelled"
    for report in reports:
        await replay(report)


def execution(report: Data, uid: str) -> Data:
    """Return the part of a report that shows one execution."""
    found: list[Data] = [task["exec"] for task in report["tasks"] if task["id"] == uid]
    return found[0]


def returned_otherwise(report: Data) -> None:
    """Let a task have returned something else than its successor was given."""
    execution(report, "a")["outputs"] = {"in": 1}


def chose_otherwise(report: Data) -> None:
    """Let a task have chosen nothing, though its successors began."""
    execution(report, "a")["chosen"] = []


def never_began(report: Data) -> None:
    """Let a task that was led to have been left out."""
    for task in report["tasks"]:
        if task["id"] == "k":
            task["exec"] = None


def ended_otherwise(report: Data) -> None:
    """Let the run have failed, though no task did."""
    report["exec"]["state"] = "exception"


LIES: dict[str, tuple[Callable[[Data], None], str | None, str]] = {
    "a task returned something else": (returned_otherwise, "c", "has inputs {'in': 1}, and in"),
    "a task chose otherwise": (chose_otherwise, "c", "was not begun, and in the report it was"),
    "a task never began": (never_began, "k", "was begun, and in the report it was not"),
    "the run ended otherwise": (ended_otherwise, None, "is finished, and in the report it is exc"),
}


@pytest.mark.parametrize(("lie", "where", "what"), LIES.values(), ids=LIES)
async def test_what_differs_first_is_named(
    task: Tasks, lie: Callable[[Data], None], where: str | None, what: str
) -> None:
    """With the task and all that happened until then; no run is left, and no name."""
    hurry()
    register_tasks(task)
    report = deepcopy((await recorded(task, WORKFLOWS["join all"]))[-1])
    await replay(report)
    lie(report)
    before = dict(TaskRegistry.all())
    with pytest.raises(ReplayDiffers) as caught:
        await replay(report)
    assert caught.value.task == where
    assert what in str(caught.value)
    assert str(caught.value.timeline) in str(caught.value)
    assert TaskRegistry.all() == before


async def test_an_engine_that_does_otherwise_is_noticed(
    task: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is what a recorded report is kept for."""
    hurry()
    register_tasks(task)
    report = (await recorded(task, WORKFLOWS["shortcut"]))[-1]
    follow = Plan.follow

    def loses_a_successor(plan: Any, step: Any, data: Any) -> None:
        follow(plan, step, data)
        if step.template.uid == "b":
            plan.ready.clear()
            plan.steps[2] = None

    await replay(report)
    monkeypatch.setattr(Plan, "follow", loses_a_successor)
    with pytest.raises(ReplayDiffers, match="task 'c'"):
        await replay(report)


async def test_what_is_no_report_of_a_run_that_started_is_refused(task: Tasks) -> None:
    """With the error that says so; nothing ran."""
    register_tasks(task)
    report = deepcopy((await recorded(task, WORKFLOWS["one task"]))[-1])
    report["exec"]["start"] = None
    with pytest.raises(tukio.RescueError, match="it never started"):
        await replay(report)
    with pytest.raises(tukio.RescueError, match="it is not the report of a run"):
        await replay({"nothing": "of it"})
    report["graph"] = {"a": ["a"]}
    with pytest.raises(tukio.TemplateError, match="not acyclic"):
        await replay(report)


async def test_a_report_that_contradicts_itself_is_refused(task: Tasks) -> None:
    """A task cannot have begun with what came of one that ended after another led to it."""
    hurry()
    register_tasks(task)
    report = deepcopy((await recorded(task, WORKFLOWS["shortcut"]))[-1])
    await replay(report)
    execution(report, "c")["inputs"] = execution(report, "b")["outputs"]
    with pytest.raises(tukio.RescueError, match="no order of its tasks"):
        await replay(report)
