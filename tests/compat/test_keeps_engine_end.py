"""How an engine of tukio 1.1.2 is stopped and awaited is still so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.engine import Engine
from tukio.task import TukioTask, tukio_factory
from tukio.testing.clock import new_loop
from tukio.utils import FutureState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks
    from tukio.testing.loop import VirtualTime

as_in_1_x = pytest.mark.backends("asyncio", "uvloop")


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[VirtualTime]:
    """Make a loop that the test drives itself, as programs did before `asyncio.run`."""
    pytest.importorskip(request.param)
    loop = new_loop(request.param)
    yield loop
    loop.close()


def lasting(uid: str = "flow", **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of one `slow` task, `a`."""
    return flow("a", names={"a": "slow"}, id=uid, **fields)


# Stop ---------------------------------------------------------------------------------------------


async def test_an_idle_engine_stops_at_once(ran: list[str]) -> None:
    """`stop` is no coroutine function: it takes effect without being awaited."""
    start = anyio.current_time()
    async with Engine() as engine:
        assert not engine.done()
        assert engine.stop() is engine
        assert engine.done()
        results: list[Any] = [await again for again in (engine, engine.stop())]  # type: ignore[func-returns-value]
        assert results == [None, None]

    assert anyio.current_time() == start


async def test_a_stopped_engine_waits_for_what_runs(ran: list[str]) -> None:
    """And starts nothing new meanwhile."""
    start = anyio.current_time()
    async with Engine() as engine:
        run: Any = await engine.run_once(lasting(), {})
        await anyio.sleep(1)
        engine.stop()
        assert not engine.done()
        assert engine.instances == [run]
        await engine
        assert engine.done()
        assert anyio.current_time() - start == 10

    assert run.state is FutureState.finished


@pytest.mark.parametrize("named", [False, True], ids=["True", "force=True"])
@pytest.mark.parametrize("before", [False, True], ids=["by force", "then by force"])
async def test_an_engine_stopped_by_force_cancels_what_runs(
    ran: list[str], before: bool, named: bool
) -> None:
    """Also when it had been stopped without force before."""
    start, force = anyio.current_time(), True
    async with Engine() as engine:
        runs: list[Any] = [await engine.run_once(lasting(uid), {}) for uid in ("x", "y")]
        await anyio.sleep(1)
        if before:
            engine.stop()
        await (engine.stop(force=force) if named else engine.stop(force))
        assert engine.instances == []
        assert anyio.current_time() - start == 1

    assert [run.state for run in runs] == [FutureState.cancelled] * 2


async def test_a_stopped_engine_starts_nothing(ran: list[str]) -> None:
    """Every answer is falsy; templates can still be loaded."""
    async with Engine() as engine:
        await engine.load(lasting())
        run: Any = await engine.run_once(lasting(), {})
        await anyio.sleep(1)
        report = run.report()
        engine.stop()
        for _ in range(2):
            assert not await engine.data_received({})
            assert not await engine.trigger("flow", {})
            assert not await engine.run_once(lasting(), {})
            assert not await engine.rescue(lasting(), report)
            await engine.load(lasting("other"))
            assert (await engine.unload("other")).uid == "other"
            await engine

    assert ran == ["a"]


async def test_a_stopping_engine_still_feeds_running_tasks(task: Tasks) -> None:
    """They may wait for data in order to end."""
    got: list[Any] = []

    @task
    async def reads(event: tukio.Event) -> None:
        got.append((await tukio.current_task().queue.get()).data)

    template = flow("reads")
    template.tasks[0].topics = ["news"]
    async with Engine() as engine:
        await engine.run_once(template, {})
        await anyio.sleep(1)
        engine.stop()
        assert not await engine.data_received({"n": 1}, "news")
        await engine

    assert got == [{"n": 1}]


async def test_an_engine_that_is_not_stopped_is_awaited_for_ever(ran: list[str]) -> None:
    """Though nothing runs any more."""
    async with Engine() as engine:
        run: Any = await engine.run_once(lasting(), {})
        with anyio.move_on_after(100) as limit:
            await engine
        assert limit.cancelled_caught
        assert run.state is FutureState.finished


# As a future --------------------------------------------------------------------------------------


@as_in_1_x
async def test_an_engine_is_awaited_by_the_means_of_asyncio(ran: list[str]) -> None:
    """`wait_for`, `gather`, `shield`, and `ensure_future` for what wants a future.

    In 1.1.2 it was one, which was done as soon as anybody gave up waiting for it (B49).
    """
    engine = Engine()
    await engine.run_once(lasting(), {})
    engine.stop()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(engine), 1)
    awaited: Any = [engine, asyncio.wait_for(engine, 100), asyncio.ensure_future(engine)]
    assert await asyncio.gather(*awaited) == [None, None, None]
    future = asyncio.ensure_future(engine.stop())
    assert await asyncio.wait([future]) == ({future}, set())
    assert future.result() is None


# On a loop ----------------------------------------------------------------------------------------


def test_an_engine_is_made_for_a_loop_before_it_runs(ran: list[str], loop: VirtualTime) -> None:
    """All is done by `run_until_complete`, the engine itself included."""
    engine = Engine(loop=loop)
    loop.run_until_complete(engine.load(lasting()))
    (run,) = loop.run_until_complete(engine.data_received({"n": 1}))
    result: Any = loop.run_until_complete(engine.stop())
    assert result is None
    assert run.state is FutureState.finished
    assert ran == ["a"]


def test_an_engine_makes_registered_coroutines_tukio_tasks(task: Tasks, loop: VirtualTime) -> None:
    """On the whole loop; other coroutines stay what they were."""

    @task
    async def a(event: tukio.Event) -> dict[str, Any]:
        return event.data

    async def plain() -> int:
        return 1

    Engine(loop=loop)
    made = loop.create_task(a(tukio.Event({"n": 1})))
    other = loop.create_task(plain())
    assert loop.run_until_complete(made) == {"n": 1}
    assert loop.run_until_complete(other) == 1
    assert isinstance(made, TukioTask)
    assert not isinstance(other, TukioTask)


def test_the_task_factory_serves_a_loop_without_an_engine(task: Tasks, loop: VirtualTime) -> None:
    """It is a task factory like any other."""

    @task
    async def a(event: tukio.Event) -> dict[str, Any]:
        return event.data

    async def plain() -> int:
        return 1

    factory: Any = tukio_factory
    loop.set_task_factory(factory)
    made = loop.create_task(a(tukio.Event({"n": 1})))
    other = loop.create_task(plain())
    assert [type(made) is TukioTask, type(other) is TukioTask] == [True, False]
    assert loop.run_until_complete(asyncio.wait([made, other])) == ({made, other}, set())
    made_by_hand = tukio_factory(loop, plain())
    assert type(made_by_hand) is asyncio.Task
    assert loop.run_until_complete(made_by_hand) == 1


def test_engines_on_one_loop_share_a_broker(ran: list[str], loop: VirtualTime) -> None:
    """The one that `get_broker` returns for that loop."""
    heard: list[Any] = []
    one, other = Engine(loop=loop), Engine(loop=loop)
    broker = tukio.get_broker(loop)
    assert tukio.get_broker(loop=loop) is broker
    broker.register(heard.append, "news")

    async def main() -> None:
        assert tukio.get_broker() is broker
        await one.data_received({"n": 1}, "news")
        await other.data_received({"n": 2}, "news")

    loop.run_until_complete(main())
    loop.run_until_complete(loop.settle())
    assert [event.data for event in heard] == [{"n": 1}, {"n": 2}]
