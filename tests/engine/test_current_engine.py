"""`tukio.current_engine()`: the innermost engine whose block, task or handler the code runs in."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.loose import loose

if TYPE_CHECKING:
    from support.flow import Tasks

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


async def test_outside_there_is_none() -> None:
    """The error says where to call it."""
    with pytest.raises(tukio.EngineError, match="not inside an engine - call this in the block"):
        tukio.current_engine()
    async with tukio.Engine():
        pass
    with pytest.raises(tukio.EngineError):
        tukio.current_engine()


async def test_in_the_block_and_what_is_started_there() -> None:
    """Child tasks and threads see it."""
    found: list[tukio.Engine] = []

    async def child() -> None:
        found.append(tukio.current_engine())

    async with tukio.Engine() as outer:
        assert tukio.current_engine() is outer
        async with tukio.Engine() as inner, anyio.create_task_group() as group:
            assert tukio.current_engine() is inner
            group.start_soon(child)
        assert tukio.current_engine() is outer
        found.append(await anyio.to_thread.run_sync(tukio.current_engine))
    assert found == [inner, outer]


async def test_in_a_task(task: Tasks) -> None:
    """Also if the run was started from outside of the block, and in the task's own children."""
    found: list[tukio.Engine] = []

    @task
    async def looks(event: tukio.Event) -> None:
        found.append(tukio.current_engine())
        await anyio.sleep(1)
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async def child() -> None:
        found.append(tukio.current_engine())

    engine = tukio.Engine()
    async with anyio.create_task_group() as group:
        ready, done = anyio.Event(), anyio.Event()

        async def serve() -> None:
            async with engine:
                ready.set()
                await done.wait()

        group.start_soon(serve)
        await ready.wait()
        with pytest.raises(tukio.EngineError):
            tukio.current_engine()
        await (await engine.start(flow("looks"), {})).wait()
        done.set()
    assert found == [engine, engine]


async def test_an_engine_in_a_task_is_further_in(task: Tasks) -> None:
    """And a task of that one further still."""
    found: list[tukio.Engine] = []

    @task
    async def looks(event: tukio.Event) -> None:
        found.append(tukio.current_engine())

    @task
    async def nests(event: tukio.Event) -> None:
        async with tukio.Engine() as inner:
            found.append(tukio.current_engine())
            await inner.start(flow("looks"), {})
            await outer.start(flow("looks"), {})
        assert tukio.current_engine() is outer
        found.append(inner)

    async with tukio.Engine() as outer:
        await (await outer.start(flow("nests"), {})).wait(check=True)
    inner = found.pop()
    assert found[0] is inner
    assert {*found[1:]} == {inner, outer}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_in_a_handler(task: Tasks, kind: str) -> None:
    """Of data, and of execution events, whoever has sent them."""
    found: list[tukio.Engine] = []

    @task
    async def works(event: tukio.Event) -> None:
        pass

    def handler(event: tukio.Event) -> None:
        found.append(tukio.current_engine())

    async def async_handler(event: tukio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        found.append(tukio.current_engine())

    chosen: Any = handler if kind == "sync" else async_handler
    async with tukio.Engine() as outer, tukio.Engine() as inner:
        for engine in (outer, inner):
            engine.broker.register(chosen, "topic")
            engine.broker.register(chosen, tukio.EXEC_TOPIC)
            await engine.data_received({}, "topic")
            await anyio.sleep(1)
            assert found == [engine]
            await (await engine.start(flow("works"), {})).wait()
            await anyio.sleep(1)
            assert found == [engine] * 5
            found.clear()


async def test_a_run_that_a_handler_starts_elsewhere_is_of_its_own_engine(task: Tasks) -> None:
    """What is set around a handler does not reach the tasks of another engine."""
    found: list[tukio.Engine] = []

    @task
    async def looks(event: tukio.Event) -> None:
        found.append(tukio.current_engine())

    async with tukio.Engine() as outer, tukio.Engine() as inner:

        async def start(event: tukio.Event) -> None:
            await inner.start(flow("looks"), {})

        outer.broker.register(start, "topic")
        await outer.data_received({}, "topic")
        await anyio.sleep(1)
    assert found == [inner]


@on_asyncio
async def test_in_loose_mode(task: Tasks) -> None:
    """Engines share a broker there, and each task knows its own."""
    found: list[tukio.Engine] = []

    @task
    async def looks(event: tukio.Event) -> None:
        found.append(tukio.current_engine())

    async with loose() as one, loose() as other:
        for engine in (one, other):
            await (await engine.start(flow("looks"), {})).wait()
        with pytest.raises(tukio.EngineError):
            tukio.current_engine()
    assert found == [one, other]


@on_asyncio
async def test_a_run_without_an_engine(task: Tasks) -> None:
    """It has none to tell."""

    @task
    async def looks(event: tukio.Event) -> None:
        tukio.current_engine()

    run = tukio.Workflow(flow("looks"))
    run.run({})
    await run.wait()
    assert isinstance(run.errors["looks"], tukio.EngineError)


async def test_it_keeps_no_engine_alive(task: Tasks) -> None:
    """Nor does a task that has asked for it."""

    @task
    async def looks(event: tukio.Event) -> None:
        tukio.current_engine()

    async with tukio.Engine() as engine:
        await engine.start(flow("looks"), {})
    reference = weakref.ref(engine)
    del engine
    gc.collect()
    assert reference() is None


# Statistics ---------------------------------------------------------------------------------------


async def test_statistics(task: Tasks) -> None:
    """Runs by status, what was started and refused, and who waits for how long."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(20)

    async with tukio.Engine() as engine:
        assert engine.statistics() == tukio.engine.Statistics({}, 0, 0, {}, 0, None)
        await engine.load(flow("slow", id="skips", policy="skip", topics=["t"]))
        await engine.load(flow("slow", id="aborts", policy="abort-running", topics=["u"]))
        for _ in range(3):
            await engine.data_received({}, "t")
        first = await engine.start("aborts", {})
        await anyio.sleep(1)
        first.suspend()
        await anyio.sleep(2)
        with pytest.raises(tukio.NotStarted):
            await engine.start("unknown", {})
        found = engine.statistics()
        assert found.runs == {"running": 1, "suspended": 1}
        assert (found.started, found.events, found.dropped) == (2, 3, 0)
        assert found.refused == {tukio.Reason.SKIPPED: 2, tukio.Reason.UNKNOWN_TEMPLATE: 1}
        assert found.oldest_wait == 2
        engine.stop(force=True)
        await engine.data_received({}, "t")
        assert engine.statistics().refused[tukio.Reason.STOPPING] == 1
    assert engine.statistics().runs == {}


async def test_what_is_dropped_is_counted() -> None:
    """By handlers and streams that listen now."""
    async with tukio.Engine() as engine:
        async with engine.subscribe("t", buffer=1):
            for _ in range(3):
                engine.broker.dispatch({}, "t")
            assert engine.statistics().dropped == 2
        assert engine.statistics().dropped == 0
