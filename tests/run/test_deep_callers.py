"""G3: whoever calls from deep within a recursion is told before anything is done, or all is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio._model.guard import ROOM

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from support.flow import Tasks

ACTS: dict[str, Callable[[tukio.Engine, Any, Any], object]] = {
    "cancel": lambda engine, run, step: run.cancel(),
    "timeout": lambda engine, run, step: run.timeout(),
    "suspend": lambda engine, run, step: run.suspend(),
    "step.cancel": lambda engine, run, step: step.cancel(),
    "step.timeout": lambda engine, run, step: step.timeout(),
    "stop": lambda engine, run, step: engine.stop(force=True),
    "stop with a grace": lambda engine, run, step: engine.stop(1),
}


def left_with(frames: int, function: Callable[[], object]) -> None:
    """Call a function where so many frames are left on the stack, or about as many."""

    def sink(depth: int) -> None:
        if depth:
            sink(depth - 1)
        else:
            function()

    sink(sys.getrecursionlimit() - depth_here() - frames)


def depth_here() -> int:
    """Return the number of frames on the stack."""
    depth, frame = 0, sys._getframe()
    while frame is not None:
        here: FrameType = frame
        depth, frame = depth + 1, here.f_back  # type: ignore[assignment]  # until there is none
    return depth


@pytest.mark.parametrize("act", ACTS)
async def test_g3_nothing_is_done_by_half(task: Tasks, act: str) -> None:
    """Up to the depth at which there is room for all of it."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1000)

    done = []
    for frames in range(3, ROOM + 40, 3):
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("slow"), {})
            await anyio.sleep(1)
            (step,) = run.tasks
            try:
                left_with(frames, lambda: ACTS[act](engine, run, step))  # noqa: B023 - at once
            except RecursionError:
                assert run.suspend()
            else:
                done.append(frames)
            with anyio.fail_after(10):
                run.resume()
                if frames not in done:
                    run.cancel()
                elif act == "suspend":
                    assert run.cancel()
                await run.wait()
    assert done
    assert done == list(range(done[0], ROOM + 40, 3))


@pytest.mark.parametrize("frames", [90, 120, 200])
async def test_g1_a_block_is_left_whole_however_deep_it_is(task: Tasks, frames: int) -> None:
    """By the error that it was left by: whoever leaves must not be stopped halfway."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1000)

    runs: list[Any] = []

    async def block() -> None:
        if frames_left() > frames:
            await block()
            return
        async with tukio.Engine() as engine:
            runs.append(await engine.run_once(flow("slow"), {}))
            await anyio.lowlevel.checkpoint()
            raise LookupError(frames)

    with anyio.fail_after(100), pytest.raises(LookupError):
        await block()
    assert all(run.state is tukio.FutureState.cancelled for run in runs)


def frames_left() -> int:
    """Return how many calls within each other there is room for; a tracer may need some of it."""
    depth = 0

    def sink() -> None:
        nonlocal depth
        depth += 1
        sink()

    try:
        sink()
    except RecursionError:
        return depth
    raise AssertionError  # unreachable: there is no end
