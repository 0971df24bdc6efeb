"""By hand on anyio: what policies, maps and children come to when somebody writes them.

Each is a coroutine around the step, a semaphore, or a task group in a task group: no ids, no
states, no reports, no events.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from benchmarks.contenders.bare import Plan, let_settle
from benchmarks.contenders.steps import Data, count, items_of, verify
from benchmarks.meter import kibibytes_each, resident_bytes
from benchmarks.shapes import README, branches, chain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from benchmarks.meter import Meter, Work

    Do = Callable[[str, Data], Awaitable[Data]]

ATTEMPTS = 3
DELAY = 1_000.0
IDLE_SECONDS = 10.0
AT_ONCE = 50
CHILD = "t1"
"""The task in the middle of a chain of three."""


class Workflow:
    """A workflow whose steps are done in some way.

    Args:
        plan: What follows what, and whether each step lets others run once.
        around: Makes what is awaited for a step out of the step itself.
    """

    def __init__(self, plan: Plan, around: Callable[[Do], Do]) -> None:
        self.plan = plan
        self.do = around(self.work)
        self.ends: list[Data] = []

    async def work(self, _uid: str, data: Data) -> Data:
        """Be the work of a step."""
        if self.plan.pauses:
            await anyio.lowlevel.checkpoint()
        return count(data)

    async def step(self, group: TaskGroup, awaited: dict[str, int], uid: str, data: Data) -> None:
        """Do a step, and start those that follow."""
        result = await self.do(uid, data)
        followers = self.plan.graph[uid]
        if not followers:
            self.ends.append(result)
        for follower in followers:
            if follower in awaited:
                awaited[follower] -= 1
                if awaited[follower]:
                    continue
            group.start_soon(self.step, group, awaited, follower, result)

    async def run(self) -> None:
        """Run the workflow once."""
        plan = self.plan
        async with anyio.create_task_group() as group:
            group.start_soon(self.step, group, plan.parents.copy(), plan.root, {"value": 0})


def once(do: Do) -> Do:
    """Return a step that is done once."""
    return do


def retried(do: Do) -> Do:
    """Return a step that is done again when it fails."""

    async def tried(uid: str, data: Data) -> Data:
        for _ in range(ATTEMPTS - 1):
            try:
                return await do(uid, data)
            except OSError:
                await anyio.sleep(DELAY)
        return await do(uid, data)

    return tried


def watched(do: Do) -> Do:
    """Return a step that has to give a sign of life, which would move the deadline."""

    async def done_in_time(uid: str, data: Data) -> Data:
        with anyio.fail_after(IDLE_SECONDS):
            return await do(uid, data)

    return done_in_time


def nested(do: Do) -> Do:
    """Return a step in whose place, for one task, a workflow of one task is run."""

    async def step_or_child(uid: str, data: Data) -> Data:
        if uid != CHILD:
            return await do(uid, data)
        results: list[Data] = []

        async def only() -> None:
            results.append(await do(uid, data))

        # A group of its own, as a child has: that is what is measured.
        async with anyio.create_task_group() as group:  # noqa: ASYNC112
            group.start_soon(only)
        return results[0]

    return step_or_child


async def workflows(meter: Meter, size: int, *, plan: Plan, around: Callable[[Do], Do]) -> None:
    """Run the planned workflow `size` times at once, its steps done in some way."""
    workflow = Workflow(plan, around)
    for number in meter.passes(size):
        workflow.ends.clear()
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(workflow.run)
    leaves = sum(1 for followers in plan.graph.values() if not followers)
    values = {end["value"] for end in workflow.ends}
    verify(done=len(workflow.ends) == leaves * size and len(values) == 1, what=workflow.ends[:1])


async def side_by_side(meter: Meter, size: int, *, pauses: bool) -> None:
    """Run one workflow of `size` tasks side by side, and count those."""
    plan = Plan(branches(size), pauses=pauses)
    workflow = Workflow(plan, once)
    for _ in meter.passes(1, units=size):
        workflow.ends.clear()
        await workflow.run()
    verify(done=workflow.ends == [{"value": 2}] * size, what=workflow.ends[:1])


async def items(meter: Meter, size: int, *, pauses: bool, limited: bool = False) -> None:
    """Do a step for each of `size` items, and keep the results in order."""
    given = items_of(size)
    results: list[Data] = []

    async def each(place: int) -> None:
        if pauses:
            await anyio.lowlevel.checkpoint()
        results[place] = count(given[place])

    async def each_in_turn(semaphore: anyio.Semaphore, place: int) -> None:
        async with semaphore:
            await each(place)

    for _ in meter.passes(1, units=size):
        results = [{}] * size
        start = functools.partial(each_in_turn, anyio.Semaphore(AT_ONCE)) if limited else each
        async with anyio.create_task_group() as group:
            for place in range(size):
                group.start_soon(start, place)
    verify(done=results == list(map(count, given)), what=results[:1])


async def back_off(meter: Meter, size: int) -> None:
    """Weigh loops that have failed once, and sleep until they try again."""

    async def tried() -> None:
        while True:
            try:
                raise ConnectionError  # noqa: TRY301 - the loop of somebody who writes it by hand
            except ConnectionError:
                await anyio.sleep(DELAY)

    before = resident_bytes()
    async with anyio.create_task_group() as group:
        for _ in range(size):
            group.start_soon(tried)
        await let_settle(anyio.lowlevel.checkpoint)
        meter.figures["KiB each"] = kibibytes_each(before, size)
        meter.figures["tasks of the loop each"] = 1.0
        group.cancel_scope.cancel()


def works(kind: str, *, pauses: bool) -> dict[str, Work]:
    """Return the works that come in two kinds of step, for one of them."""
    readme = Plan(README, pauses=pauses)
    return {
        f"retry {kind}": functools.partial(workflows, plan=readme, around=retried),
        f"signs {kind}": functools.partial(workflows, plan=readme, around=watched),
        f"map {kind}": functools.partial(items, pauses=pauses),
        f"limited map {kind}": functools.partial(items, pauses=pauses, limited=True),
        f"branches {kind}": functools.partial(side_by_side, pauses=pauses),
    }


WORKS: dict[str, Work] = {
    **works("noop", pauses=False),
    **works("pause", pauses=True),
    "back-off": back_off,
    "child": functools.partial(workflows, plan=Plan(chain(3)), around=nested),
    "no child": functools.partial(workflows, plan=Plan(chain(3)), around=once),
}
