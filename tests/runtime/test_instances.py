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
