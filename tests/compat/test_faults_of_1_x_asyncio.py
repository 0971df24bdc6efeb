"""Faults of tukio 1.1.2, B31-B33, B49, B50: workflows among asyncio tasks."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.leaks import no_asyncio_errors
from support.loose import loose
from tukio.task import TukioTask
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


async def awaiting(run: Any) -> None:
    """Await a run in a coroutine of its own."""
    await run


# Cancelling one who awaits a workflow -------------------------------------------------------------


@on_asyncio
async def test_b31_cancel_takes_a_message_as_the_cancel_of_any_future(ran: list[str]) -> None:
    """In 1.1.2 it took none, and asyncio gives one from Python 3.9 on."""
    async with tukio.Engine() as engine:
        runs: list[Any] = [
            await engine.run_once(flow("a", names={"a": "slow"}), {}) for _ in range(3)
        ]
        assert runs[0].cancel()
        assert runs[1].cancel("enough")
        assert runs[2].cancel(msg="enough")

    assert [run.state for run in runs] == [CANCELLED] * 3


@on_asyncio
async def test_b31_a_task_that_awaits_a_workflow_can_be_cancelled(ran: list[str]) -> None:
    """In 1.1.2 that raised a TypeError, and neither of them was cancelled."""
    async with loose() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        waiter = asyncio.ensure_future(awaiting(run))
        await asyncio.sleep(1)
        assert waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    assert asyncio.get_running_loop().time() == 1
    assert waiter.cancelled()
    assert run.state is CANCELLED


async def by_wait_for(run: Any) -> None:
    """Limit an `await` by the function."""
    await asyncio.wait_for(run, 5)


async def by_timeout(run: Any) -> None:
    """Limit an `await` by the block."""
    async with asyncio.timeout(5):
        await run


@on_asyncio
@pytest.mark.parametrize("limited", [by_wait_for, by_timeout])
async def test_b31_a_limit_on_awaiting_a_workflow_is_kept(
    ran: list[str], limited: Callable[[Any], Awaitable[None]]
) -> None:
    """In 1.1.2 it never fired, on newer Pythons."""
    async with loose() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        with pytest.raises(TimeoutError):
            await limited(run)
        assert asyncio.get_running_loop().time() == 5
        assert run.state is CANCELLED
        assert engine.instances == []


@on_asyncio
def test_b31_a_program_ends_though_a_task_awaits_a_workflow(ran: list[str], backend: str) -> None:
    """In 1.1.2 `asyncio.run` raised the TypeError when it cancelled what was left."""
    runs: list[Any] = []
    waiters: list[asyncio.Task[None]] = []

    async def main() -> list[tuple[str, str | None, Any]]:
        engine = tukio.Engine()
        events = listen(engine)
        runs.append(await engine.run_once(flow("a", names={"a": "slow"}), {}))
        waiters.append(asyncio.create_task(awaiting(runs[0])))
        await asyncio.sleep(1)
        return events

    with no_asyncio_errors(), asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        events = runner.run(main())

    assert kinds(events) == ["workflow-begin", "task-begin a", "task-cancel a", "workflow-end"]
    assert waiters[0].cancelled()
    assert runs[0].state is CANCELLED


@on_asyncio
async def test_b31_a_workflow_whose_task_awaits_another_one_can_be_cancelled(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 `cancel()` raised the TypeError; both went on."""
    inner: list[Any] = []

    @task
    async def outer(event: tukio.Event) -> None:
        inner.append(await engine.run_once(flow("a", names={"a": "slow"}), {}))
        await inner[0]

    async with loose() as engine:
        run: Any = await engine.run_once(flow("outer"), {})
        await asyncio.sleep(1)
        assert run.cancel()
        assert await run.wait() is CANCELLED

    assert asyncio.get_running_loop().time() == 1
    assert inner[0].state is CANCELLED


async def test_b31_a_limit_on_waiting_is_kept_on_every_backend(ran: list[str]) -> None:
    """The portable way only gives up: the run goes on."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        with anyio.move_on_after(5) as scope:
            await run.wait()
        assert scope.cancelled_caught
        assert anyio.current_time() == 5
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 10


# Newer Pythons ------------------------------------------------------------------------------------


@on_asyncio
def test_b32_an_engine_of_1_x_runs_on_a_newer_python(task: Tasks, backend: str) -> None:
    """In 1.1.2 nothing ran from 3.10 on, and only the log knew; a task still has its queue."""

    @task
    class Reader(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            assert self.queue is not None
            news = await self.queue.get()
            return {**event.data, **news.data}

    loop = new_loop(backend)
    try:
        engine = tukio.Engine(loop=loop)
        template = flow("Reader", topics=["start"])
        template.tasks[0].topics = ["news"]
        loop.run_until_complete(engine.load(template))
        runs: list[Any] = loop.run_until_complete(engine.data_received({"a": 1}, "start"))
        loop.run_until_complete(settled(loop))
        assert loop.run_until_complete(engine.data_received({"b": 2}, "news")) == []
        done, pending = loop.run_until_complete(asyncio.wait(runs))
    finally:
        loop.close()

    assert (done, pending) == (set(runs), set())
    assert runs[0].outputs == {"Reader": {"a": 1, "b": 2}}


async def settled(loop: Any) -> None:
    """Let all happen that takes no time."""
    await loop.settle()


@on_asyncio
@pytest.mark.parametrize("registered", [True, False])
async def test_b33_a_task_may_be_given_a_context_and_a_name(task: Tasks, registered: bool) -> None:
    """In 1.1.2 that was a TypeError once there had been an engine, from 3.11 on."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    context = copy_context()
    context.run(variable.set, "given")

    async def look(event: object = None) -> tuple[str, str]:
        current = asyncio.current_task()
        assert current is not None
        return variable.get(), current.get_name()

    if registered:
        task(look)
    async with tukio.Engine():
        one = asyncio.create_task(look(), context=context, name="one")
        async with asyncio.TaskGroup() as group:
            two = group.create_task(look(), context=context, name="two")
        three = asyncio.get_running_loop().create_task(look(), context=context)
        assert await one == ("given", "one")
        assert two.result() == ("given", "two")
        assert (await three)[0] == "given"
        assert isinstance(one, TukioTask) is registered


@on_asyncio
def test_b33_a_runner_runs_again_after_an_engine(ran: list[str], backend: str) -> None:
    """In 1.1.2 the second `run()` failed on the factory that the first engine had left."""

    async def main() -> tukio.FutureState:
        run = await tukio.Engine().run_once(flow("a", names={"a": "quick"}), {})
        assert run
        return await run.wait()

    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        assert [runner.run(main()) for _ in range(2)] == [FINISHED] * 2


# The engine among others --------------------------------------------------------------------------


async def by_move_on_after(engine: tukio.Engine) -> None:
    """Give up by the portable way."""
    with anyio.move_on_after(5) as scope:
        await engine
    assert scope.cancelled_caught


async def by_native_wait_for(engine: tukio.Engine) -> None:
    """Give up by asyncio's way."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine, 5)


async def gives_up_and_goes_on(give_up: Callable[[tukio.Engine], Awaitable[None]]) -> None:
    """Give up waiting for an engine before and after `stop()`, and see what is left."""
    async with tukio.Engine() as engine:
        await give_up(engine)
        assert not engine.done()
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        engine.stop()
        await give_up(engine)
        assert anyio.current_time() == 10
        assert not engine.done()
        assert engine.instances == [run]
        assert not run.done()
        await engine
        assert anyio.current_time() == 15
        assert engine.done()

    assert run.state is FINISHED


async def test_b49_to_give_up_waiting_for_an_engine_does_not_end_it(ran: list[str]) -> None:
    """In 1.1.2 it counted as done then, while its workflows went on."""
    await gives_up_and_goes_on(by_move_on_after)


@on_asyncio
async def test_b49_nor_does_the_wait_for_of_asyncio(ran: list[str]) -> None:
    """In 1.1.2 it cancelled the future that the engine was."""
    await gives_up_and_goes_on(by_native_wait_for)


@on_asyncio
async def test_b50_an_engine_changes_no_task_but_those_of_registered_coroutines(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 the factory of the loop was gone, and tukio's stayed for ever."""
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        made.append(coro.__qualname__.rpartition(".")[2])
        return asyncio.Task(coro, loop=loop, **kwargs)

    @task
    async def known(event: object = None) -> None:
        await asyncio.sleep(1)

    async def unknown() -> None:
        await asyncio.sleep(1)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
            made.clear()
            tasks = [loop.create_task(known()), loop.create_task(unknown())]
            assert [type(one) for one in tasks] == [TukioTask, asyncio.Task]
            assert made == ["unknown"]
            await run
        assert loop.get_task_factory() is factory
        tasks.append(loop.create_task(known()))
        assert type(tasks[-1]) is asyncio.Task
        await asyncio.wait(tasks)
    finally:
        loop.set_task_factory(None)


@on_asyncio
async def test_b50_an_engine_does_not_need_the_task_factory(ran: list[str]) -> None:
    """In 1.1.2 a run on a loop without it stayed pending for ever, with an AttributeError."""
    engine = tukio.Engine()
    await engine.load(flow("a b", names={"a": "slow", "b": "quick"}))
    asyncio.get_running_loop().set_task_factory(None)
    run: Any = await engine.trigger("flow", {})
    await run
    await engine.stop()

    assert run.outputs["b"] == {"a": 1, "b": 1}


async def test_b50_a_registered_coroutine_that_others_use_is_no_task_of_a_workflow(
    task: Tasks,
) -> None:
    """In 1.1.2 each task made of its code told of itself, such as one for a broker's handler."""
    got: list[Any] = []

    @task
    async def handles(event: tukio.Event) -> None:
        got.append((event.data, tukio.Workflow.current_workflow()))
        await anyio.sleep(1)

    @task
    async def calls(event: tukio.Event) -> None:
        await handles(event)
        async with anyio.create_task_group() as group:
            group.start_soon(handles, event)

    async with tukio.Engine() as engine:
        events = listen(engine)
        engine.broker.register(handles, "news")
        await handles(tukio.Event({"n": 1}))
        await engine.data_received({"n": 2}, "news")
        await anyio.sleep(2)
        assert events == []
        run: Any = await engine.run_once(flow("calls"), {"n": 3})
        await run.wait()

    assert got == [({"n": 1}, None), ({"n": 2}, None), ({"n": 3}, run), ({"n": 3}, run)]
    assert kinds(events) == ["workflow-begin", "task-begin calls", "task-end calls", "workflow-end"]
