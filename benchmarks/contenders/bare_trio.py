"""By hand on trio: one nursery per workflow, one child task per task."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from benchmarks.contenders.bare import BURST, Plan, works
from benchmarks.contenders.steps import Data, count

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

DISTRIBUTIONS = ("trio",)


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
        self, nursery: trio.Nursery, awaited: dict[str, int], uid: str, data: Data
    ) -> None:
        """Do a step, and start those that follow."""
        if self.pauses:
            await trio.lowlevel.checkpoint()
        if uid in self.parked:
            await trio.sleep_forever()
        result = count(data)
        for follower in self.graph[uid]:
            if follower in awaited:
                awaited[follower] -= 1
                if awaited[follower]:
                    continue
            nursery.start_soon(self.start, nursery, awaited, follower, result)

    async def limited_step(
        self, nursery: trio.Nursery, awaited: dict[str, int], uid: str, data: Data
    ) -> None:
        """Do a step within its limit."""
        with trio.move_on_after(self.limit):
            await self.step(nursery, awaited, uid, data)

    async def unlimited(self) -> None:
        """Run the workflow once."""
        plan = self.plan
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.start, nursery, plan.parents.copy(), plan.root, {"value": 0})

    async def limited(self) -> None:
        """Run the workflow once, within its limit."""
        with trio.move_on_after(self.limit * 6):
            await self.unlimited()


async def run_many(plan: Plan, size: int) -> None:
    """Run the planned workflow `size` times at once."""
    workflow = Workflow(plan)
    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(workflow.run)


@asynccontextmanager
async def parked(plan: Plan, size: int) -> AsyncGenerator[None, None]:
    """Keep `size` workflows in flight; at the end of the block cancel them."""
    workflow = Workflow(plan)
    async with trio.open_nursery() as nursery:
        for number in range(1, size + 1):
            nursery.start_soon(workflow.run)
            if not number % BURST:
                await trio.lowlevel.checkpoint()
        yield
        nursery.cancel_scope.cancel()


WORKS = works(run_many, parked, trio.lowlevel.checkpoint)
