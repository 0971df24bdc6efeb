"""What steps and runs have of the loop: the context they are in, and a fair turn."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import tukio
from support.flow import flow
from support.peace import patient
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled

FINISHED = tukio.FutureState.finished


def test_each_run_of_a_runner_may_have_an_engine(task: Tasks, backend: str) -> None:
    """In 1.x the second failed on the factory that the first had left."""
    patient(task)

    async def structured() -> tukio.FutureState:
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("after"), {})
            return await run.wait()

    async def loose() -> set[Any]:
        run: Any = await tukio.Engine().run_once(flow("after"), {})
        return set(await run)

    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        for _ in range(2):
            assert runner.run(structured()) is FINISHED
            assert len(runner.run(loose())) == 1


async def test_context_variables_of_a_step_stay_its_own(task: Tasks) -> None:
    """Whichever host drives it: siblings and successors get the context the run was started in."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[tuple[str, str]] = []

    async def work(event: tukio.Event) -> None:
        uid = tukio.current_task().template.uid
        seen.append((uid, variable.get()))
        variable.set(uid)
        await asyncio.sleep(1)
        assert variable.get() == uid
        asked = asyncio.create_task(ask())
        assert await asked == uid
        variable.set(f"{uid} later")

    async def ask() -> str:
        return variable.get()

    task(work)
    variable.set("the run's")
    async with tukio.Engine() as engine:
        graph = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}
        run = await engine.run_once(flow(graph, names=dict.fromkeys("abcde", "work")), {})
        variable.set("too late")
        await run.wait()

    assert run.errors == {}
    assert seen == [(uid, "the run's") for uid in "abcde"]
    assert variable.get() == "too late"


async def test_the_clean_up_of_a_step_sees_the_context_of_the_step(task: Tasks) -> None:
    """What the step has set is there when `teardown()` needs it."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            variable.set("mine")
            await asyncio.sleep(30)

        async def teardown(self) -> None:
            seen.append(variable.get())
            await asyncio.sleep(1)
            seen.append(variable.get())

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("Careful", limits={"Careful": 1}), {})
        await run.wait()

    assert seen == ["mine", "mine"]


async def test_steps_that_never_suspend_leave_others_their_turn(task: Tasks) -> None:
    """A long chain of them is no reason to stop the loop, or not to be cancelled."""
    begun: list[str] = []

    async def work(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    task(work)
    chain = [f"s{number}" for number in range(1000)]
    template = flow(" ".join(chain), names=dict.fromkeys(chain, "work"))
    turns: list[int] = []
    async with tukio.Engine() as engine:
        run = await engine.run_once(template, {})
        while not run.done():
            await asyncio.sleep(0)
            turns.append(len(begun))
        assert run.state is FINISHED
        gaps = [after - before for before, after in pairwise(turns)]
        assert max(gaps) <= 64
        assert turns[-1] == 1000

        begun.clear()
        run = await engine.run_once(template, {})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        run.cancel()
        reached = len(begun)
        assert await run.wait() is CANCELLED
        await settle()

    assert 0 < len(begun) == reached < 200
