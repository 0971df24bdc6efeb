"""A run as its user sees it: awaited, reported, and routed by its own tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.steps import slow

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled


# Awaiting a run -----------------------------------------------------------------------------------


async def test_await_gives_the_tasks_or_raises(task: Tasks) -> None:
    """On every backend; how it ended is in the exception."""
    slow(task)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        assert run
        assert await run == set(run.tasks)
        late = await engine.run_once(flow("slow", timeout=1), {})
        assert late
        with pytest.raises(BaseException) as timed_out:
            await late
        cut = await engine.run_once(flow("slow"), {})
        assert cut
        cut.cancel()
        with pytest.raises(BaseException) as cancelled:
            await cut
        assert await cut.wait() is CANCELLED

    expected: tuple[type[BaseException], ...] = (
        tukio.WorkflowCancelled,
        anyio.get_cancelled_exc_class(),
    )
    assert isinstance(cancelled.value, expected)
    assert isinstance(timed_out.value, expected)


async def test_wait_never_raises_the_run_s_own_fate(task: Tasks) -> None:
    """It says how the run ended, before and after."""
    slow(task)
    async with tukio.Engine() as engine:
        for template, ending in [
            (flow("slow"), FINISHED),
            (flow("slow", timeout=1), tukio.FutureState.timeout),
        ]:
            run = await engine.run_once(template, {})
            assert await run.wait() is ending
            assert await run.wait() is ending
            assert run.state is ending


async def test_the_report_has_the_form_of_1_x(task: Tasks) -> None:
    """Template fields, then `exec`; a task that was not started has none."""

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {"a": 1}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"b": "a"}, title="T"), {"in": 1})
        await anyio.sleep(0.5)
        report = run.report()
        await run.wait()

    assert report["title"] == "T"
    assert report["exec"]["id"] == run.uid
    assert report["exec"]["state"] == "pending"
    assert report["exec"]["end"] is None
    first, second = report["tasks"]
    assert second["exec"] is None
    assert list(first["exec"]) == ["id", "start", "end", "state", "inputs", "outputs"]
    assert first["exec"]["inputs"] == {"in": 1}
    assert first["exec"]["start"].tzinfo is not None
    done = run.report()
    assert [one["exec"]["outputs"] for one in done["tasks"]] == [{"a": 1}, {"a": 1}]
    assert done["exec"]["state"] == "finished"


# Routing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "expected"),
    [(["c"], ["c"]), (["d", "b"], ["b", "d"]), ([], []), (["b", "b"], ["b"]), (("c",), ["c"])],
)
async def test_a_task_may_choose_its_successors(
    task: Tasks, ids: list[str], expected: list[str]
) -> None:
    """They start in declared order; the last choice counts."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        tukio.current_workflow().set_next_tasks(["b", "c", "d"])
        tukio.current_workflow().set_next_tasks(ids)

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(note)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("bcd", "note")
        await engine.run_once(flow({"a": ["b", "c", "d"]}, names=names), {})

    assert begun == expected


@pytest.mark.parametrize(
    ("ids", "error"), [(None, TypeError), ("bc", TypeError), ([1], TypeError), (["x"], LookupError)]
)
async def test_a_bad_choice_is_an_error_in_the_call_and_changes_nothing(
    task: Tasks, ids: Any, error: type[Exception]
) -> None:
    """It names the successors (B03)."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        with pytest.raises(error):
            tukio.current_workflow().set_next_tasks(ids)

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(note)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("bc", "note")
        run = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await run.wait()

    assert run.errors == {}
    assert begun == ["b", "c"]


async def test_a_diamond_without_join_runs_its_end_once(task: Tasks) -> None:
    """With the first parent's data; a late parent lands in the queue, or is too late."""
    got: list[Any] = []

    async def wait(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        await anyio.sleep({"a": 0, "b": 1, "c": 2}[uid])
        return {"from": uid}

    @task
    async def d(event: tukio.Event) -> None:
        got.append(event.data)
        if event.data["from"] == "b":
            late = await tukio.current_task().queue.get()
            got.append((late.data, late.source.task_template_id if late.source else None))

    task(wait)
    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys("abc", "wait")
        await engine.run_once(flow({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, names=names), {})
        await engine.run_once(flow({"a": ["b", "d"], "b": ["d"]}, names=names), {})

    assert {"from": "b"} in got
    assert ({"from": "c"}, "c") in got
    assert {"from": "a"} in got
    assert kinds(story).count("task-begin d") == 2


@pytest.mark.backends("trio")
async def test_a_run_without_an_engine_is_for_asyncio() -> None:
    """What to do instead is said where it is asked for, as it is outside of any loop."""
    with pytest.raises(tukio.EngineError, match="without an engine needs asyncio"):
        tukio.Workflow(flow("a"))


def test_a_run_without_an_engine_needs_a_loop() -> None:
    """A running one, or one that is given."""
    with pytest.raises(tukio.EngineError, match="without an engine needs asyncio"):
        tukio.Workflow(flow("a"))
