"""Overrun policies: what becomes of data that meets a run, and of a replacement at the stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

import tukio
from support.flow import flow
from support.steps import slow

if TYPE_CHECKING:
    import pytest

    from support.flow import Tasks

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled


async def test_policy_start_new(task: Tasks) -> None:
    """Runs side by side."""
    begun = slow(task)
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", policy="start-new"))
        for n in range(3):
            assert await engine.trigger("flow", {"n": n})

    assert sorted(begun) == [0, 1, 2]
    assert anyio.current_time() - start == 10


async def test_policy_skip(task: Tasks) -> None:
    """One at a time; exact however many come at once."""
    begun = slow(task)
    started: list[int] = []
    async with tukio.Engine() as engine:
        await engine.load(flow("slow", policy="skip"))

        async def send(n: int) -> None:
            started.append(len(await engine.data_received({"n": n})))

        async with anyio.create_task_group() as group:
            for n in range(5):
                group.start_soon(send, n)
        await anyio.sleep(11)
        assert await engine.trigger("flow", {"n": 9})

    assert sorted(started) == [0, 0, 0, 0, 1]
    assert len(begun) == 2


async def test_a_policy_that_does_not_exist_cancels_no_run(
    task: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    """A word that is put into a template after it was loaded starts nothing, and is told."""
    begun = slow(task)
    template = flow("slow")
    async with tukio.Engine() as engine:
        await engine.load(template)
        [first] = await engine.data_received({"n": 0})
        await anyio.sleep(1)
        template.policy = "skipp"  # type: ignore[assignment]  # as a user may do
        assert await engine.data_received({"n": 1}) == []
        assert await first.wait() is FINISHED

    assert begun == [0]
    assert "cannot start a run of <WorkflowTemplate uid=flow>" in caplog.text


async def test_policy_skip_until_unlock(task: Tasks) -> None:
    """Data is skipped while a run is locked; unlocking or the end of the run lets it through."""
    begun: list[Any] = []

    @task
    async def first(event: tukio.Event) -> None:
        begun.append(event.data["n"])
        if event.data["n"]:
            tukio.current_workflow().unlock_when_task_done()
        await anyio.sleep(2)

    @task
    async def second(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        await engine.load(flow("first second", policy="skip-until-unlock"))
        assert await engine.trigger("flow", {"n": 0})
        await anyio.sleep(3)
        assert not await engine.trigger("flow", {"n": 1})
        await anyio.sleep(10)
        assert await engine.trigger("flow", {"n": 2})
        await anyio.sleep(1)
        assert not await engine.trigger("flow", {"n": 3})
        await anyio.sleep(2)
        assert await engine.trigger("flow", {"n": 4})

    assert begun == [0, 2, 4]


async def test_policy_abort_running_starts_one_replacement_the_latest(task: Tasks) -> None:
    """A burst leaves the last; it starts when the aborted run has unwound (B27)."""
    story: list[Any] = []

    @task
    async def stubborn(event: tukio.Event) -> None:
        story.append((anyio.current_time() - start, event.data["n"]))
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        await engine.load(flow("stubborn", policy="abort-running"))
        runs = []
        for n in range(4):
            runs.append(await engine.trigger("flow", {"n": n}))
            if n == 0:
                await anyio.sleep(1)
        assert all(runs)
        assert [run.state.value for run in runs if run] == [
            "pending",
            "cancelled",
            "cancelled",
            "pending",
        ]
        assert engine.instances == [runs[0], runs[3]]

    assert story == [(0, 0), (3, 3)]
    assert [run.state for run in runs if run] == [CANCELLED, CANCELLED, CANCELLED, FINISHED]


async def test_stop_covers_a_replacement_that_waits(task: Tasks) -> None:
    """By force it never starts; without, it is work accepted, and is done (B27)."""
    begun = slow(task)
    for force in (True, False):
        begun.clear()
        async with tukio.Engine() as engine:
            await engine.load(flow("slow", policy="abort-running"))
            await engine.trigger("flow", {"n": 1})
            await anyio.sleep(1)
            await engine.trigger("flow", {"n": 2})
            await engine.stop(force=force)
            assert engine.done()
        assert begun == ([1] if force else [1, 2])
