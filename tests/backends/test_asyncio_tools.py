"""The tools of asyncio and anyio inside a step: limits, groups, sub-tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from support.native import now
from support.peace import PEACE, patient
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled

FINISHED = tukio.FutureState.finished


async def sleeper(delay: float, result: Any = None) -> Any:
    """Sleep, and return something."""
    await asyncio.sleep(delay)
    return result


async def in_timeout() -> float:
    """Reach a limit of `asyncio.timeout`."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asyncio.sleep(5)
    return 2


async def in_wait_for() -> float:
    """Reach a limit of `asyncio.wait_for`, and keep another."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleeper(5), 2)
    assert await asyncio.wait_for(sleeper(1, "in time"), 2) == "in time"
    return 3


async def in_nested_timeouts() -> float:
    """Reach the outer of two limits of asyncio, within one of anyio."""
    with pytest.raises(TimeoutError), anyio.fail_after(10):
        async with asyncio.timeout(1), asyncio.timeout(3):
            await anyio.sleep(5)
    return 1


async def in_task_group() -> float:
    """Have a child of an `asyncio.TaskGroup` fail, which cancels the parent and its sibling."""
    failed = False
    try:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(sleeper(9))
            group.create_task(failing())
            await asyncio.sleep(9)
    except* LookupError:
        failed = True
    assert failed
    assert child.cancelled()
    return 1


async def failing() -> None:
    """Fail after a second."""
    await asyncio.sleep(1)
    raise LookupError


async def in_gather() -> float:
    """Wait for three at once."""
    assert await asyncio.gather(*(sleeper(delay, delay) for delay in (1, 2, 3))) == [1, 2, 3]
    return 3


async def in_shield() -> float:
    """Give up on something that goes on."""
    inner = asyncio.ensure_future(sleeper(3, "done"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(inner), 1)
    assert await inner == "done"
    return 3


async def in_move_on_after() -> float:
    """Leave a scope of anyio that was cancelled by its deadline."""
    with anyio.move_on_after(2) as scope:
        await asyncio.sleep(5)
    assert scope.cancelled_caught
    return 2


async def in_fail_after() -> float:
    """Reach a limit of anyio."""
    with pytest.raises(TimeoutError), anyio.fail_after(2):
        await asyncio.sleep(5)
    return 2


async def in_anyio_group() -> float:
    """Have a child of an anyio task group fail."""
    failed = False
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(failing)
            await anyio.sleep(9)
    except* LookupError:
        failed = True
    assert failed
    return 1


async def in_cancelled_anyio_group() -> float:
    """Cancel an anyio task group from within."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 9)
        await anyio.sleep(1)
        group.cancel_scope.cancel()
    return 1


TOOLS = [
    in_timeout,
    in_wait_for,
    in_nested_timeouts,
    in_task_group,
    in_gather,
    in_shield,
    in_move_on_after,
    in_fail_after,
    in_anyio_group,
    in_cancelled_anyio_group,
]


@pytest.mark.parametrize("use", TOOLS, ids=lambda use: use.__name__)
async def test_the_tools_of_asyncio_and_anyio_work_inside_a_step(
    task: Tasks, use: Callable[[], Awaitable[float]]
) -> None:
    """To the second, after each other on the same host, and the next step notices nothing."""
    story = patient(task)

    @task
    async def a(event: tukio.Event) -> None:
        for _ in range(2):
            start = now()
            took = await use()
            assert now() - start == took

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a after"), {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert story == PEACE


@pytest.mark.parametrize("how", ["the run", "the step", "by its limit"])
@pytest.mark.parametrize("use", TOOLS, ids=lambda use: use.__name__)
async def test_a_step_is_cancelled_through_the_tools_of_asyncio_and_anyio(
    task: Tasks, use: Callable[[], Awaitable[float]], how: str
) -> None:
    """The cancellation is not mistaken for the tool's own, and nothing goes on afterwards."""

    @task
    async def a(event: tukio.Event) -> None:
        await use()

    async with tukio.Engine() as engine:
        limits = {"a": 0.5} if how == "by its limit" else {}
        run = await engine.run_once(flow("a", limits=limits), {})
        await anyio.sleep(0.5)
        if how == "the run":
            run.cancel()
        elif how == "the step":
            for step in run.tasks:
                step.cancel()
        await run.wait()
        assert now() == 0.5
        await anyio.sleep(9)

    assert run.errors == {}
    expected = tukio.FutureState.timeout if how == "by its limit" else CANCELLED
    assert [step.state for step in run.tasks] == [expected]


async def test_a_sub_task_knows_the_step_that_started_it(task: Tasks) -> None:
    """In 1.x `current_workflow()` was an UnboundLocalError there (B44)."""
    seen: list[Any] = []

    async def child() -> None:
        seen.append((tukio.current_task().template.uid, tukio.current_workflow()))

    @task
    async def a(event: tukio.Event) -> None:
        await asyncio.gather(child(), asyncio.create_task(child()))
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    assert seen == [("a", run)] * 3


def test_a_worker_thread_used_by_a_step_does_not_outlive_it(task: Tasks, backend: str) -> None:
    """In loose mode anyio ties its threads to the host, the topmost task that it can see."""
    threads: list[threading.Thread] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        threads.append(await anyio.to_thread.run_sync(threading.current_thread))
        return {"n": await anyio.to_thread.run_sync(lambda: 1)}

    loop = new_loop(backend)
    try:
        with no_asyncio_errors():
            engine = tukio.Engine(loop=loop)
            template = flow("a b", names={"b": "a"})
            run: Any = loop.run_until_complete(engine.run_once(template, {}))
            loop.run_until_complete(run)
    finally:
        loop.close()
    for thread in threads:
        thread.join(timeout=5)

    assert run.outputs == {"a": {"n": 1}, "b": {"n": 1}}
    assert [thread.is_alive() for thread in threads] == [False, False]
