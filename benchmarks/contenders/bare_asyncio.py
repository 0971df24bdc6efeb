"""By hand on asyncio: one `asyncio.TaskGroup` per workflow, one task per task."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders.bare import BURST, Plan, works
from benchmarks.contenders.steps import Data, count

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

DISTRIBUTIONS = ("uvloop",)


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

    async def step(
        self, group: asyncio.TaskGroup, awaited: dict[str, int], uid: str, data: Data
    ) -> None:
        """Do a step, and start those that follow."""
        if self.pauses:
            await asyncio.sleep(0)
        if uid in self.parked:
            await asyncio.get_running_loop().create_future()
        result = count(data)
        for follower in self.graph[uid]:
            if follower in awaited:
                awaited[follower] -= 1
                if awaited[follower]:
                    continue
            group.create_task(self.start(group, awaited, follower, result))

    async def limited_step(
        self, group: asyncio.TaskGroup, awaited: dict[str, int], uid: str, data: Data
    ) -> None:
        """Do a step within its limit."""
        async with asyncio.timeout(self.limit):
            await self.step(group, awaited, uid, data)

    async def unlimited(self) -> None:
        """Run the workflow once."""
        plan = self.plan
        async with asyncio.TaskGroup() as group:
            group.create_task(self.start(group, plan.parents.copy(), plan.root, {"value": 0}))

    async def limited(self) -> None:
        """Run the workflow once, within its limit."""
        async with asyncio.timeout(self.limit * 6):
            await self.unlimited()


async def run_many(plan: Plan, size: int) -> None:
    """Run the planned workflow `size` times at once."""
    workflow = Workflow(plan)
    async with asyncio.TaskGroup() as group:
        for _ in range(size):
            group.create_task(workflow.run())


@asynccontextmanager
async def parked(plan: Plan, size: int) -> AsyncGenerator[None, None]:
    """Keep `size` workflows in flight; at the end of the block cancel them."""
    workflow = Workflow(plan)
    running = []
    for number in range(1, size + 1):
        running.append(asyncio.create_task(workflow.run()))
        if not number % BURST:
            await asyncio.sleep(0)
    yield
    for task in running:
        task.cancel()
    await asyncio.wait(running)


WORKS = works(run_many, parked, partial(asyncio.sleep, 0))
