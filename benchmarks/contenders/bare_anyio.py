"""By hand on anyio: one task group per workflow, one child task per task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from benchmarks.contenders.bare import Plan, works
from benchmarks.contenders.steps import Data, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

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


async def run_parked(plan: Plan, size: int, look: Callable[[], Any]) -> None:
    """Put `size` workflows in flight, look, and cancel them."""
    workflow = Workflow(plan)
    async with anyio.create_task_group() as group:
        for _ in range(size):
            group.start_soon(workflow.run)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        look()
        group.cancel_scope.cancel()


WORKS = works(run_many, run_parked, anyio.lowlevel.checkpoint)
