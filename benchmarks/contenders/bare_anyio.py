"""By hand on anyio: one task group per workflow, one child task per task."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from benchmarks.contenders import bare_policies
from benchmarks.contenders.bare import BURST, Plan, works
from benchmarks.contenders.stalls import measure_stalls, without_full_rounds
from benchmarks.contenders.steps import Data, count
from benchmarks.shapes import PARKED, README

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.abc import TaskGroup

    from benchmarks.meter import Meter

DISTRIBUTIONS = ("anyio", "trio", "uvloop")


class Workflow:
    """The planned workflow.

    Args:
        plan: What to run.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.pauses = plan.pauses
        self.parked = plan.parked
        self.limit = plan.limit or 0.0
        self.start = self.limited_step if plan.limit else self.step
        self.run = self.limited if plan.limit else self.unlimited

    async def step(self, group: TaskGroup, awaited: dict[str, int], uid: str, data: Data) -> None:
        """Do a step, and start those that follow."""
        if self.pauses:
            await anyio.lowlevel.checkpoint()
        if uid in self.parked:
            await anyio.sleep_forever()
        result = count(data)
        for follower in self.graph[uid]:
            if follower in awaited:
                awaited[follower] -= 1
                if awaited[follower]:
                    continue
            group.start_soon(self.start, group, awaited, follower, result)

    async def limited_step(
        self, group: TaskGroup, awaited: dict[str, int], uid: str, data: Data
    ) -> None:
        """Do a step within its limit."""
        with anyio.move_on_after(self.limit):
            await self.step(group, awaited, uid, data)

    async def unlimited(self) -> None:
        """Run the workflow once."""
        plan = self.plan
        async with anyio.create_task_group() as group:
            group.start_soon(self.start, group, plan.parents.copy(), plan.root, {"value": 0})

    async def limited(self) -> None:
        """Run the workflow once, within its limit."""
        with anyio.move_on_after(self.limit * 6):
            await self.unlimited()


async def run_many(plan: Plan, size: int) -> None:
    """Run the planned workflow `size` times at once."""
    workflow = Workflow(plan)
    async with anyio.create_task_group() as group:
        for _ in range(size):
            group.start_soon(workflow.run)


@asynccontextmanager
async def parked(plan: Plan, size: int) -> AsyncGenerator[None, None]:
    """Keep `size` workflows in flight; at the end of the block cancel them."""
    workflow = Workflow(plan)
    async with anyio.create_task_group() as group:
        for number in range(1, size + 1):
            group.start_soon(workflow.run)
            if not number % BURST:
                await anyio.lowlevel.checkpoint()
        yield
        group.cancel_scope.cancel()


async def scale(meter: Meter, size: int) -> None:
    """Put `size` workflows in flight in one burst, then cancel them all."""
    await measure_stalls(meter, size, parked(Plan(README, parked=PARKED), size))


OF_GRAPHS = {
    **works(run_many, parked, anyio.lowlevel.checkpoint),
    "scale": scale,
    "scale, no full rounds": without_full_rounds(scale),
}

WORKS = {**OF_GRAPHS, **bare_policies.WORKS}
