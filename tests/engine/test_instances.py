"""The runs in progress, as the engine lists them, and those that wait to take their place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def work(task: Tasks) -> None:
    """Register `work`: it takes 10 s, or as many as `takes`; and 5 s to unwind."""

    @task
    async def work(event: tukio.Event) -> None:
        try:
            await anyio.sleep(event.data.get("takes", 10))
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            raise


@pytest.mark.usefixtures("work")
async def test_the_instances_are_in_the_order_they_were_started() -> None:
    """Also where runs of several templates alternate."""
    async with tukio.Engine() as engine:
        for uid in "ab":
            await engine.load(flow("work", id=uid))
        runs: list[Any] = [await engine.trigger(uid, {}) for uid in "abba"]
        assert engine.instances == runs
        runs.insert(2, await engine.trigger("a", {"takes": 1}))
        await runs.pop(2).wait()
        runs.append(await engine.trigger("b", {}))
        assert engine.instances == runs


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("later", ["run_once", "start-new"])
async def test_a_replacement_waits_only_for_those_it_replaces(later: str) -> None:
    """Not for what was started after it was asked for, in whichever way."""
    async with tukio.Engine() as engine:
        await engine.load(flow("work", policy="abort-running"))
        await engine.trigger("flow", {})
        await anyio.sleep(1)
        heir: Any = await engine.trigger("flow", {})
        if later == "run_once":
            beside: Any = await engine.run_once(flow("work"), {"takes": 30})
        else:
            await engine.load(flow("work", policy="start-new"))
            beside = await engine.trigger("flow", {"takes": 30})
        await heir.wait()
        assert anyio.current_time() == 16
        assert engine.instances == [beside]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("graces", [[2], [0], [30, 2], [2, 30], [math.inf, 2]])
async def test_g3_a_replacement_that_waits_is_cancelled_at_the_end_of_the_grace(
    graces: list[float],
) -> None:
    """At that very instant, not when the run has unwound whose place it was to take."""
    async with tukio.Engine() as engine:
        await engine.load(flow("work", policy="abort-running"))
        first: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        heir: Any = await engine.trigger("flow", {})
        for grace in graces:
            engine.stop(grace)
        assert await heir.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() == 1 + min(graces)
        assert engine.instances == [first]
        await first.wait()
        assert anyio.current_time() == 6
