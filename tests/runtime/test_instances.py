"""The runs in progress, as the engine lists them, and those that wait to take their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.fixture
def work(task: Tasks) -> None:
    """Register `work`: it takes 10 s, or as many as `takes`."""

    @task
    async def work(event: tukio.Event) -> None:
        await anyio.sleep(event.data.get("takes", 10))


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
        first: Any = await engine.trigger("flow", {})
        heir: Any = await engine.trigger("flow", {})
        if later == "run_once":
            beside: Any = await engine.run_once(flow("work"), {"takes": 30})
        else:
            await engine.load(flow("work", policy="start-new"))
            beside = await engine.trigger("flow", {"takes": 30})
        await first.wait()
        await heir.wait()
        assert anyio.current_time() == 10
        assert engine.instances == [beside]
