"""The join task of tukio 1.1.2 still joins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio.engine import Engine
from tukio.task import TaskRegistry
from tukio.task.join import JoinTask
from tukio.utils import FutureState

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = FutureState.finished


@pytest.fixture
def parents(task: Tasks) -> None:
    """Register `late1`, `late2`, ...: each comes so many seconds late."""
    for late in range(1, 4):

        async def come(event: tukio.Event, late: int = late) -> dict[str, int]:
            await anyio.sleep(late)
            return {"late": late}

        come.__name__ = f"late{late}"
        task(come)


def joining(wait_for: Any, *late: int, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template in which a join `j` follows parents that come so late, before `k`."""
    ids = "bcd"[: len(late)]
    graph = {"a": list(ids), **{uid: ["j"] for uid in ids}, "j": ["k"]}
    names = {"a": "quick", "j": "join", "k": "quick"}
    names |= {uid: f"late{number}" for uid, number in zip(ids, late, strict=True)}
    template = flow(graph, names=names, **fields)
    (join,) = (one for one in template.tasks if one.uid == "j")
    join.config = {"wait_for": wait_for}
    return template


def step_of(run: Any, uid: str = "j") -> Any:
    """Return what the report of a run says of the execution of a task."""
    (step,) = (one["exec"] for one in run.report()["tasks"] if one["id"] == uid)
    return step


def test_the_join_is_a_registered_holder() -> None:
    """Under its name."""
    assert TaskRegistry.get("join") == (JoinTask, JoinTask.execute)
    assert JoinTask.TASK_NAME == "join"
    assert issubclass(JoinTask, tukio.TaskHolder)
    assert JoinTask({"wait_for": 2}).report() == {"tasks": [], "status": "running"}


async def test_a_join_may_be_derived_from(parents: None, task: Tasks, ran: list[str]) -> None:
    """Its data is that of the parent that came first; what has come is told by its own method."""
    seen: list[Any] = []

    @task
    class Noisy(JoinTask):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            seen.append(self.data)
            result = await super().execute(event)
            seen.append(self.data)
            return result

        def add_task_report(self, task_id: str) -> None:
            super().add_task_report(task_id)
            seen.append((task_id, len(self.report()["tasks"])))

    template = joining(2, 2, 1)
    template.tasks[3].name = "Noisy"
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert seen == [None, ("c", 1), ("b", 2), {"late": 1}]


@pytest.mark.parametrize(
    ("wait_for", "late", "seconds"),
    [
        (2, (2, 1), 2),
        (["b", "c"], (2, 1), 2),
        (["c", "b"], (2, 1), 2),
        (2, (1, 3, 2), 2),
        (["b", "c"], (1, 2, 3), 2),
        (["b", "c", "d"], (1, 3, 2), 3),
        (3, (1, 1, 1), 1),
    ],
    ids=str,
)
async def test_a_join_waits_for_a_number_of_parents_or_for_named_ones(
    parents: None, ran: list[str], wait_for: Any, late: tuple[int, ...], seconds: int
) -> None:
    """And passes on the data of the one that came first; it is started once."""
    async with Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(joining(wait_for, *late), {})
        assert await run.wait() is FINISHED

    first = {"late": min(late)}
    assert (step_of(run)["inputs"], step_of(run)["outputs"]) == (first, first)
    assert step_of(run, "k")["inputs"] == first
    waited = step_of(run, "k")["start"] - run.report()["exec"]["start"]
    assert waited.total_seconds() == seconds
    assert [kind for kind, uid, _ in story if uid == "j" and kind == "task-begin"] == ["task-begin"]
    assert ran == ["a", "k"]


async def test_a_join_reports_who_has_come(parents: None, ran: list[str]) -> None:
    """With the time of each, and how it stands; each time is told as progress, then the end."""
    async with Engine() as engine:
        story = listen(engine)
        template = joining(["b", "c"], 3, 1)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(2)
        report = step_of(run)["reporting"]
        assert ([one["id"] for one in report["tasks"]], report["status"]) == (["c"], "running")
        await run.wait()

    report = step_of(run)["reporting"]
    assert ([one["id"] for one in report["tasks"]], report["status"]) == (["c", "b"], "done")
    assert (list(report), list(report["tasks"][0])) == (["tasks", "status"], ["id", "end_time"])
    times = [one["end_time"] for one in report["tasks"]]
    assert all(isinstance(time, datetime) and time.tzinfo is UTC for time in times)
    assert (times[1] - times[0]).total_seconds() == 2
    progress = [content for kind, uid, content in story if (kind, uid) == ("task-progress", "j")]
    assert len(progress) == 3
    assert progress[-1] == report
    assert template.tasks[-2].config == {"wait_for": ["b", "c"]}


async def test_a_join_counts_parents_that_passed_their_inputs_on(
    task: Tasks, ran: list[str]
) -> None:
    """By a skip, by a time limit, by returning None."""

    @task
    async def skips(event: tukio.Event) -> None:
        raise tukio.SkipTask

    @task
    async def nothing(event: tukio.Event) -> None:
        """Return None."""

    graph = {"a": ["b", "c", "d"], "b": ["j"], "c": ["j"], "d": ["j"], "j": ["k"]}
    names = {"a": "quick", "b": "skips", "c": "nothing", "d": "slow", "j": "join", "k": "quick"}
    template = flow(graph, names=names, limits={"d": 5})
    template.tasks[4].config = {"wait_for": 3}
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {"n": 1})
        assert await run.wait() is FINISHED

    states = [step_of(run, uid)["state"] for uid in "bcdj"]
    assert states == ["skipped", "finished", "timeout", "finished"]
    assert step_of(run, "k")["inputs"] == {"n": 1, "a": 1}


async def test_a_join_that_is_out_of_time_passes_on_what_came_first(
    parents: None, ran: list[str]
) -> None:
    """Its status is `timeout`; who comes later is too late."""
    async with Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(joining(2, 1, 3, limits={"j": 1}), {})
        assert await run.wait() is FINISHED

    assert step_of(run)["state"] == step_of(run)["reporting"]["status"] == "timeout"
    assert [one["id"] for one in step_of(run)["reporting"]["tasks"]] == ["b"]
    assert ("task-timeout", "j", {"late": 1}) in story
    assert step_of(run, "k")["inputs"] == {"late": 1}
    assert ran == ["a", "k"]


async def test_a_parent_that_comes_first_is_joined_though_nobody_waits_for_it(
    parents: None, ran: list[str]
) -> None:
    """Its data goes on, and it is in the report; it does not count."""
    async with Engine() as engine:
        run: Any = await engine.run_once(joining(["c", "d"], 1, 2, 3), {})
        assert await run.wait() is FINISHED

    assert [one["id"] for one in step_of(run)["reporting"]["tasks"]] == ["b", "c", "d"]
    assert step_of(run)["outputs"] == {"late": 1}
    waited = step_of(run, "k")["start"] - run.report()["exec"]["start"]
    assert waited.total_seconds() == 3


async def test_two_joins_in_a_row(parents: None, ran: list[str]) -> None:
    """One is a parent of the other."""
    template = joining(2, 1, 2)
    tasks = {one.uid: one for one in template.tasks}
    tasks["k"].name, tasks["k"].config = "join", {"wait_for": ["a", "j"]}
    template.link(tasks["a"], tasks["k"])
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert [one["id"] for one in step_of(run, "k")["reporting"]["tasks"]] == ["a", "j"]
    assert step_of(run, "k")["outputs"] == {"a": 1}


async def test_a_join_of_two_ignores_the_third(parents: None, ran: list[str]) -> None:
    """It goes on after the second."""
    async with Engine() as engine:
        run: Any = await engine.run_once(joining(2, 1, 3, 2), {})
        await anyio.sleep(2.5)
        assert ran == ["a", "k"]
        assert await run.wait() is FINISHED

    assert ran == ["a", "k"]
    assert [one["id"] for one in step_of(run)["reporting"]["tasks"]] == ["b", "d"]
