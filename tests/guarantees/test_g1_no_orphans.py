"""G1: when the engine is left, or a run is over, nothing of it is alive.

Every async test also fails if a task or a timer is left behind at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.checkpoints import cancel_at_every_await
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks


async def test_g1_leaving_the_engine_waits_for_the_runs(task: Tasks) -> None:
    """A run in progress is finished, not abandoned."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(30)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})

    assert run.state is tukio.FutureState.finished
    assert anyio.current_time() - start == 30


async def test_g1_an_exception_in_the_body_cancels_the_runs_and_comes_out_as_it_is(
    task: Tasks,
) -> None:
    """The body's own error is what the caller sees, not a group around it."""
    unwound: list[str] = []

    @task
    async def slow(event: tukio.Event) -> None:
        try:
            await anyio.sleep(30)
        finally:
            unwound.append("slow")

    start = anyio.current_time()
    with pytest.raises(LookupError, match="mine"):
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("slow"), {})
            await anyio.sleep(1)
            raise LookupError("mine")

    assert anyio.current_time() - start == 1
    assert run.state is tukio.FutureState.cancelled
    assert unwound == ["slow"]


async def test_g1_an_exception_before_the_first_step_starts_nothing(task: Tasks) -> None:
    """A run that has not begun when the body fails never begins."""
    begun: list[str] = []

    @task
    async def first(event: tukio.Event) -> None:
        begun.append("first")

    with pytest.raises(LookupError):
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("first"), {})
            raise LookupError

    assert begun == []
    assert run.state is tukio.FutureState.cancelled


async def test_g1_cancelling_the_caller_at_every_await_leaves_nothing(  # noqa: PLR0915 - one story
    task: Tasks,
) -> None:
    """Wherever the body is cancelled, every run has unwound when the block is left."""
    alive: list[str] = []

    async def stay(name: str, delay: float) -> None:
        alive.append(name)
        try:
            await anyio.sleep(delay)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            alive.remove(name)

    @task
    async def a(event: tukio.Event) -> None:
        await stay("a", 1)

    @task
    async def b(event: tukio.Event) -> None:
        await stay("b", 2)

    @task
    async def c(event: tukio.Event) -> None:
        await stay("c", 3)

    runs: list[Any] = []

    async def body() -> None:
        runs.clear()
        async with tukio.Engine() as engine:
            template = flow({"a": ["b", "c"]})
            runs.append(await engine.run_once(template, {}))
            await anyio.sleep(2)
            runs.append(await engine.run_once(template, {}))
            await runs[0].wait()
            await anyio.lowlevel.checkpoint()

    async def nothing_is_left(point: int) -> None:
        assert alive == []
        assert all(run.state.value in {"finished", "cancelled"} for run in runs)

    points = await cancel_at_every_await(body, nothing_is_left)

    assert points >= 3


@pytest.mark.parametrize("delay", [0, 0.5, 1, 1.5, 3.5, 4])
async def test_g1_a_caller_s_time_limit_cancels_everything(task: Tasks, delay: float) -> None:
    """An engine inside `move_on_after` is gone when that block is."""
    alive: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def b(event: tukio.Event) -> None:
        alive.append("b")
        try:
            await anyio.sleep(2)
        finally:
            alive.remove("b")

    start = anyio.current_time()
    with anyio.move_on_after(delay):
        async with tukio.Engine() as engine:
            await engine.run_once(flow({"a": ["b"]}), {})

    assert alive == []
    assert anyio.current_time() - start == min(delay, 3)


async def test_g1_subtasks_of_a_step_end_with_it(task: Tasks) -> None:
    """A step's own task group is part of the tree."""
    alive: list[str] = []

    async def child() -> None:
        alive.append("child")
        try:
            await anyio.sleep_forever()
        finally:
            alive.remove("child")

    @task
    async def parent(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("parent"), {})
        await anyio.sleep(1)
        assert alive == ["child"]
        run.cancel()
        await run.wait()
        assert alive == []


async def test_g1_a_finished_run_is_out_of_the_engine(task: Tasks) -> None:
    """The engine keeps no run that is over."""

    @task
    async def quick(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("quick"), {})
        assert engine.instances == [run]
        assert engine.get(run.uid) is run
        await run.wait()
        assert engine.instances == []
        assert engine.get(run.uid) is None


async def test_g1_an_engine_inside_a_task_of_another_engine(task: Tasks) -> None:
    """Engines nest: the outer run's cancellation reaches the inner runs."""
    story: list[str] = []

    @task
    async def inner(event: tukio.Event) -> None:
        try:
            await anyio.sleep(30)
        finally:
            story.append("inner unwound")

    @task
    async def outer(event: tukio.Event) -> None:
        try:
            async with tukio.Engine() as engine:
                await engine.run_once(flow("inner"), {})
        finally:
            story.append("outer unwound")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("outer"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled

    assert story == ["inner unwound", "outer unwound"]


async def test_g1_the_terminal_event_is_told_when_the_engine_is_left(task: Tasks) -> None:
    """Those who listen learn of every end, whatever caused it."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(30)

    with anyio.move_on_after(1):
        async with tukio.Engine() as engine:
            story = listen(engine)
            await engine.run_once(flow("slow"), {})

    assert kinds(story) == [
        "workflow-begin",
        "task-begin slow",
        "task-cancel slow",
        "workflow-end",
    ]
    assert story[-1] == ("workflow-end", None, {"cancel": True})
