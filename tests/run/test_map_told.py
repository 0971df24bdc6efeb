"""What is told of items when their task is cut, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import kinds, listen, step_of
from support.maps import mapped, register_steps

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""
    register_steps(task)


@pytest.mark.parametrize("is_whole_run", [True, False], ids=["run", "task"])
async def test_items_that_were_interrupted_are_over_before_their_task(is_whole_run: bool) -> None:
    """Also if it is cancelled while it is suspended."""
    async with tukio.Engine() as engine:
        told = listen(engine)
        run: Any = await engine.start(mapped(limit=1), {"list": [{}, {}]})
        await anyio.sleep(0.5)
        run.suspend()
        await anyio.sleep(1)
        if is_whole_run:
            run.cancel()
        else:
            step_of(run, "each").cancel()
            run.resume()
    assert kinds(told)[3:6] == ["workflow-suspend", "task-cancel each[0]", "task-cancel each"]


async def test_a_task_whose_items_have_just_unwound_is_not_named_as_stuck(task: Tasks) -> None:
    """It goes on in the turn after that, and the watchdog may look at it before."""

    @task
    async def slow(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(7)

    async with tukio.Engine() as engine:
        told = listen(engine)
        run: Any = await engine.start(mapped("slow", {"timeout": 1}), {"list": [{}]})
        await anyio.sleep(0.5)
        [item] = step_of(run, "each").work.open
        item.add_done_callback(lambda _: run._run.environment.watchdog._look())
    assert "task-stuck each[0]" in kinds(told)
    assert "task-stuck each" not in kinds(told)
