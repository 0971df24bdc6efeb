"""G3: each async method is a checkpoint: whoever only calls it can be cut, and holds nobody up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from tukio._loop.turns import BURST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

    Calls = dict[str, Callable[[], Awaitable[Any]]]


async def calls_of(engine: tukio.Engine) -> Calls:
    """Return the async methods, each ready to be called again and again without a wait."""
    template = flow("quick")
    run: Any = await engine.run_once(template, {})
    await run.wait()
    [step] = run.tasks
    queue: Any = engine.subscribe("t")._inbox
    stream = engine.subscribe("t")
    full = engine.subscribe("full", buffer=10 * BURST)
    await full.__aenter__()
    for n in range(10 * BURST):
        engine.broker.dispatch({"n": n}, "full")
    await engine.load(template)

    async def enter_stream() -> None:
        async with stream:
            pass

    async def enter_engine() -> None:
        async with tukio.Engine():
            pass

    async def take() -> None:
        queue.put_nowait(tukio.Event({}))
        await queue.get()

    async def unload() -> None:
        engine.selector.load(template)
        await engine.unload("flow")

    async def rescue() -> None:
        with pytest.raises(tukio.RescueError):
            await engine.rescue(template, {})

    return {
        "run.wait": run.wait,
        "await run": lambda: _awaited(run),
        "await step": lambda: _awaited(step),
        "step.data_received": lambda: step.data_received(tukio.Event({})),
        "queue.put": lambda: queue.put(tukio.Event({})),
        "queue.get": take,
        "queue.join": engine.subscribe("t")._inbox.join,
        "anext": lambda: anext(full),
        "stream": enter_stream,
        "engine": enter_engine,
        "load": lambda: engine.load(template),
        "reload": lambda: engine.reload([template]),
        "unload": unload,
        "rescue": rescue,
        "data_received": lambda: engine.data_received({}, "nobody"),
        "trigger": lambda: engine.trigger("nobody", {}),
        "run_once": lambda: engine.run_once(template, {}),
    }


NAMES = (
    "run.wait",
    "await run",
    "await step",
    "step.data_received",
    "queue.put",
    "queue.get",
    "queue.join",
    "anext",
    "stream",
    "engine",
    "load",
    "reload",
    "unload",
    "rescue",
    "data_received",
    "trigger",
    "run_once",
)


async def _awaited(what: Any) -> None:
    await what


@pytest.fixture(autouse=True)
def quick(task: Tasks) -> None:
    """Register a task that does nothing."""

    @task
    async def quick(event: tukio.Event) -> None:
        pass


@pytest.mark.parametrize("name", NAMES)
async def test_g3_an_async_method_lets_others_have_a_turn(name: str) -> None:
    """At the latest in one of so many calls."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with tukio.Engine() as engine:
        call = (await calls_of(engine))[name]
        async with anyio.create_task_group() as group:
            group.start_soon(count)
            await anyio.lowlevel.checkpoint()
            before = turns
            for _ in range(2 * BURST):
                await call()
            assert turns > before
            group.cancel_scope.cancel()


@pytest.mark.parametrize("name", NAMES)
async def test_g3_an_async_method_can_be_cut(name: str) -> None:
    """A task that only calls it is cut at the latest in one of so many calls."""
    async with tukio.Engine() as engine:
        call = (await calls_of(engine))[name]
        called = 0
        with anyio.CancelScope() as scope:
            scope.cancel()
            for _ in range(2 * BURST):
                await call()
                called += 1
        assert scope.cancelled_caught
        assert called < BURST


async def test_g3_a_step_that_only_calls_is_cut(task: Tasks) -> None:
    """As it would be if it waited, and others have turns meanwhile."""

    @task
    async def busy(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        while True:
            await queue.put(tukio.Event({}))
            await queue.get()

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("busy"), {})
        for _ in range(BURST):
            await anyio.lowlevel.checkpoint()
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled
