"""Suspend, resume, cancel, time out and stop a run, in every order and in every state."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from tukio._loop.running import running_backend
from tukio.testing import Timeline, check_guarantees
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    Deed = Callable[[tukio.Engine, Any], object]

FINISHED = tukio.FutureState.finished
CANCELLED = tukio.FutureState.cancelled
TIMEOUT = tukio.FutureState.timeout

DEEDS: dict[str, Deed] = {
    "suspend": lambda engine, run: run.suspend(),
    "resume": lambda engine, run: run.resume(),
    "cancel": lambda engine, run: run.cancel(),
    "time out": lambda engine, run: run.timeout(),
    "stop": lambda engine, run: engine.stop(),
    "stop by force": lambda engine, run: engine.stop(force=True),
    "stop with grace": lambda engine, run: engine.stop(grace=0.5),
}

ENDINGS = {"cancel": CANCELLED, "time out": TIMEOUT, "stop by force": CANCELLED}

ORDERS = [
    *itertools.permutations(DEEDS, 2),
    *(order for order in itertools.permutations(DEEDS, 3) if order[0] == "suspend"),
]


async def heir(engine: tukio.Engine) -> Any:
    """Return a run that waits for another one to unwind: it has not started."""
    await engine.trigger("flow", {"unwinds": 0.25})
    await anyio.sleep(1)
    return await engine.trigger("flow", {})


async def queued(engine: tukio.Engine) -> Any:
    """Return a run whose root task is due, and has not begun."""
    return await engine.trigger("flow", {})


async def at_work(engine: tukio.Engine) -> Any:
    """Return a run with two tasks at work."""
    run = await engine.trigger("flow", {})
    await anyio.sleep(1)
    return run


async def joining(engine: tukio.Engine) -> Any:
    """Return a run with a join at work, and one more parent of it."""
    run = await engine.trigger("flow", {})
    await anyio.sleep(3)
    return run


async def suspended(engine: tukio.Engine) -> Any:
    """Return a run that was suspended, and has unwound."""
    run: Any = await at_work(engine)
    run.suspend()
    await settle()
    return run


async def over(engine: tukio.Engine) -> Any:
    """Return a run that is over."""
    run: Any = await engine.trigger("flow", {})
    await run.wait()
    return run


def expected(start: Any, order: tuple[str, ...]) -> tukio.FutureState:
    """Return how a run ends after some deeds: as the first of them says that ends one at once."""
    if start is over:
        return FINISHED
    # No run here is over within the grace.
    otherwise = CANCELLED if "stop with grace" in order else FINISHED
    return next((ENDINGS[deed] for deed in order if deed in ENDINGS), otherwise)


def is_suspended(start: Any, order: tuple[str, ...]) -> bool:
    """Return whether a run is suspended after some deeds that do not end it."""
    state = start is suspended
    for deed in order:
        state = deed == "suspend" or (state and deed != "resume")
    # One that has not started cannot be, nor one that is over.
    return state and start not in {heir, over}


@pytest.fixture
def template(task: Tasks) -> tukio.WorkflowTemplate:
    """Return a -> b, c -> join j -> k; `b` takes 2 seconds and `c` 4."""

    @task
    async def quick(event: tukio.Event) -> None:
        pass

    @task
    class lasts(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep(self.config["seconds"])
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(event.data.get("unwinds", 0))

    names = {"a": "quick", "b": "lasts", "c": "lasts", "j": "join", "k": "quick"}
    graph = {"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}
    made = flow(graph, names=names, policy="abort-running")
    by_id = {task.uid: task for task in made.tasks}
    by_id["b"].config, by_id["c"].config = {"seconds": 2}, {"seconds": 4}
    by_id["j"].config = {"wait_for": 2}
    return made


@pytest.mark.parametrize("turn", [False, True], ids=["in one turn", "in turns"])
@pytest.mark.parametrize("start", [heir, queued, at_work, joining, suspended, over])
async def test_g3_any_order_of_orders_is_obeyed(
    template: tukio.WorkflowTemplate, start: Any, turn: bool
) -> None:
    """The first that ends a run counts; nothing of it starts afterwards, and all is told once."""
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)  # ten times as fast
    for order in ORDERS:
        async with tukio.Engine() as engine:
            timeline = Timeline.of(engine)
            await engine.load(template)
            run: Any = await start(engine)
            for deed in order:
                DEEDS[deed](engine, run)
                if turn:
                    await settle()
            ends = expected(start, order)
            if ends is FINISHED and is_suspended(start, order):
                await anyio.sleep(60)
                assert run.state is tukio.FutureState.suspended, order
                run.resume()
            assert await run.wait() is ends, order
        check_guarantees(run, timeline)
        assert {step.state for step in run.tasks} <= {FINISHED, CANCELLED}, order
        begun = [moment.task for moment in timeline.of_run(run.uid) if moment.kind == "task-begin"]
        assert ("k" in begun) is (ends is FINISHED), order
