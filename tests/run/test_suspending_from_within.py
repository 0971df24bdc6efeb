"""Who suspends a run while it is at work: one of its own steps, or one who hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks
    from support.suspensions import Log

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended


async def test_a_step_that_suspends_its_own_run_and_returns_has_finished(task: Tasks) -> None:
    """Siblings that are due, and its successors, wait for the resume."""
    begun: list[str] = []

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    async def suspends(event: tukio.Event) -> dict[str, int]:
        begun.append("b")
        assert tukio.current_workflow().suspend()
        return {"b": 1}

    task(note)
    task(suspends)
    names = dict.fromkeys("acd", "note") | {"b": "suspends"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        await anyio.sleep(5)
        assert begun == ["a", "b"]
        assert run.outputs["b"] == {"b": 1}
        assert run.resume()
        assert await run.wait() is FINISHED

    assert begun == ["a", "b", "c", "d"]


@pytest.mark.parametrize("resumed", [True, False], ids=["resumes", "is resumed"])
async def test_a_step_that_suspends_its_own_run_is_cut_at_its_next_await(
    task: Tasks, resumed: bool
) -> None:
    """Then it is run again, also if it has resumed the run itself."""
    told: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        told.append("begins")
        if len(told) == 1:
            tukio.current_workflow().suspend()
            if resumed:
                tukio.current_workflow().resume()
            told.append("goes on")
        await anyio.lowlevel.checkpoint()
        told.append("ends")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})
        await settle()
        if not resumed:
            assert told == ["begins", "goes on"]
            run.resume()
        assert await run.wait() is FINISHED

    assert told == ["begins", "goes on", "begins", "ends"]


@pytest.mark.parametrize(
    ("kind", "begins", "ends"),
    [
        ("workflow-begin", [], ["a", "b", "c"]),
        ("task-begin a", ["a"], ["a", "b", "c"]),
        ("task-progress a", ["a"], ["a", "b", "c"]),
        ("task-end a", ["a"], ["b", "c"]),
        ("task-begin b", ["a", "b"], ["b", "c"]),
        ("task-end b", ["a", "b", "c"], ["c"]),
    ],
)
async def test_an_event_handler_may_suspend_the_run(
    task: Tasks, kind: str, begins: list[str], ends: list[str]
) -> None:
    """Whatever the run is about to do then: a step that is over stays so, others are run again."""
    begun: list[str] = []

    async def work(event: tukio.Event) -> None:
        step = tukio.current_task()
        begun.append(step.template.uid)
        await anyio.sleep(1)
        step.dispatch_progress({})
        await anyio.sleep(2 if step.template.uid == "c" else 1)

    task(work)
    told: list[str] = []

    def note(event: tukio.Event) -> None:
        uid = event.source.task_template_id if event.source else None
        told.append(f"{event.data['type']} {uid}" if uid else event.data["type"])
        if told.count(kind) == 1 and told[-1] == kind:
            assert run.suspend()

    async with tukio.Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        names = dict.fromkeys("abc", "work")
        run: Any = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await anyio.sleep(20)
        assert run.state is SUSPENDED
        assert begun == begins
        begun.clear()
        assert run.resume()
        assert await run.wait() is FINISHED

    assert sorted(begun) == ends
    assert sorted(what for what in told if "task-end" in what) == [
        "task-end a",
        "task-end b",
        "task-end c",
    ]


async def test_handlers_may_answer_a_suspend_by_a_resume_and_a_resume_by_a_suspend(
    log: Log,
) -> None:
    """Each call within another takes effect; in the end the step is run once more."""
    answers: dict[str, Callable[[], bool]] = {
        "workflow-suspend": lambda: run.resume(),  # noqa: PLW0108 - it is not known yet
        "workflow-resume": lambda: run.suspend(),  # noqa: PLW0108
    }

    def answer(event: tukio.Event) -> None:
        given = answers.pop(event.data["type"], None)
        assert given is None or given()

    async with tukio.Engine() as engine:
        engine.broker.register(answer, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        assert run.state is SUSPENDED
        assert answers == {}
        run.resume()
        assert await run.wait() is FINISHED

    assert log == [(0, "a begins"), (1, "a is cut"), (2, "a begins"), (12, "a ends")]


@pytest.mark.parametrize(
    ("cut", "state"),
    [(None, FINISHED), ("cancel", CANCELLED), ("limit", TIMEOUT)],
    ids=["done", "cancelled", "timed out"],
)
async def test_a_step_may_suspend_its_run_in_its_finally(
    task: Tasks, cut: str | None, state: tukio.FutureState
) -> None:
    """It ends as it was about to: done, cancelled or timed out; what follows waits."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        begun.append("a")
        try:
            await anyio.sleep(1 if cut is None else 30)
        finally:
            assert tukio.current_workflow().suspend()
        return {"a": 1}

    @task
    async def b(event: tukio.Event) -> None:
        begun.append("b")

    async with tukio.Engine() as engine:
        limits = {"a": 5} if cut == "limit" else {}
        run: Any = await engine.run_once(flow("a b", limits=limits), {})
        await anyio.sleep(2)
        if cut == "cancel":
            next(iter(run.tasks)).cancel()
        await anyio.sleep(10)
        assert begun == ["a"]
        assert run.state is SUSPENDED
        assert next(iter(run.tasks)).state is state
        run.resume()
        assert await run.wait() is FINISHED

    assert begun == (["a"] if cut == "cancel" else ["a", "b"])
