"""A run as an `asyncio.Future`, whose cancellation takes time: whoever waits for it, and how."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.loose import loose
from support.native import current, now
from tukio.testing.clock import is_available

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled

FINISHED = tukio.FutureState.finished


@pytest.fixture
def unwound(task: Tasks) -> list[float]:
    """Register a task that takes 30 seconds, and 2 to unwind; return when it has unwound."""
    times: list[float] = []

    @task
    async def slow(event: tukio.Event) -> dict[str, int]:
        try:
            await asyncio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.sleep(2)
            times.append(now())
        return {"n": 1}

    return times


async def by_await(run: Any) -> Any:
    """Await the run itself."""
    return await run


async def by_wait(run: Any) -> Any:
    """Use `asyncio.wait`."""
    done, pending = await asyncio.wait([run])
    assert (done, pending) == ({run}, set())
    return run.result()


async def by_gather(run: Any) -> Any:
    """Use `asyncio.gather`."""
    (result,) = await asyncio.gather(run)
    return result


async def by_wait_for(run: Any) -> Any:
    """Use `asyncio.wait_for`."""
    return await asyncio.wait_for(run, 100)


async def by_timeout(run: Any) -> Any:
    """Use `asyncio.timeout`."""
    async with asyncio.timeout(100):
        return await run


async def by_shield(run: Any) -> Any:
    """Use `asyncio.shield`."""
    return await asyncio.shield(run)


async def by_as_completed(run: Any) -> Any:
    """Use `asyncio.as_completed`."""
    (first,) = asyncio.as_completed([run])
    return await first


async def by_task_group(run: Any) -> Any:
    """Use an `asyncio.TaskGroup`."""
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(by_await(run))
    return waiter.result()


async def by_ensure_future(run: Any) -> Any:
    """Use `asyncio.ensure_future`, which takes a future as it is."""
    assert asyncio.ensure_future(run) is run
    return await run


WAYS = [
    by_await,
    by_wait,
    by_gather,
    by_wait_for,
    by_timeout,
    by_shield,
    by_as_completed,
    by_task_group,
    by_ensure_future,
]
eager_too = pytest.mark.parametrize(
    ("backend", "eager"),
    [
        ("asyncio", False),
        pytest.param(
            "uvloop",
            False,
            marks=pytest.mark.skipif(not is_available("uvloop"), reason="uvloop is not installed"),
        ),
        # Not every Python's eager factory takes what uvloop hands to it.
        pytest.param(
            "asyncio",
            True,
            marks=pytest.mark.skipif(
                sys.version_info < (3, 12), reason="asyncio has eager tasks since Python 3.12"
            ),
        ),
    ],
    ids=["asyncio", "uvloop", "eager"],
)
"""With tasks that begin in the next turn, and with those of asyncio that begin at once."""


def use_tasks(*, eager: bool) -> None:
    """Have the running loop make such tasks."""
    if sys.version_info >= (3, 12) and eager:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)


WAYS_THAT_CANCEL = [
    by_await,
    by_gather,
    by_wait_for,
    by_timeout,
    by_task_group,
    by_ensure_future,
]


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_run_can_be_waited_for_like_any_future(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """Its result is the set of its tasks."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        assert isinstance(run, asyncio.Future)
        assert await wait(run) == set(run.tasks)
        assert now() == 32
        assert await wait(run) == set(run.tasks)


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_cancelled_run_cancels_those_who_wait_for_it(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """Once it has unwound; with a message or without, as often as one likes."""
    use_tasks(eager=eager)
    async with loose() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiter = asyncio.ensure_future(wait(run))
        await asyncio.sleep(1)
        assert run.cancel()
        assert run.cancel("enough")
        assert run.cancel(msg="enough")
        assert not run.done()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert now() == 3
        assert run.cancelled()
        assert not run.cancel()

    assert unwound == [3]
    assert run.state is CANCELLED


@eager_too
@pytest.mark.parametrize("wait", WAYS, ids=lambda wait: wait.__name__)
async def test_a_failed_run_raises_in_those_who_wait_for_it(
    task: Tasks, wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """What it failed with is a group of what its tasks raised."""
    use_tasks(eager=eager)

    @task
    async def bad(event: tukio.Event) -> None:
        await asyncio.sleep(1)
        raise LookupError

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("bad", on_error="abort"), {})
        with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
            await wait(run)

    assert run.state is tukio.FutureState.exception


@eager_too
@pytest.mark.parametrize("wait", WAYS_THAT_CANCEL, ids=lambda wait: wait.__name__)
async def test_cancelling_one_who_awaits_a_run_cancels_the_run(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """As with any future; in 1.x it was a TypeError (B31). The waiter waits for it to unwind."""
    use_tasks(eager=eager)
    async with loose() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiter: asyncio.Future[Any] = asyncio.ensure_future(wait(run))
        await asyncio.sleep(1)
        assert waiter.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert waiter.cancelled()
        assert now() == 3
        assert run.cancelled()

    assert unwound == [3]


@eager_too
@pytest.mark.parametrize("wait", [by_wait, by_shield], ids=lambda wait: wait.__name__)
async def test_cancelling_one_who_only_watches_a_run_leaves_it_alone(
    unwound: list[float], wait: Callable[[Any], Awaitable[Any]], eager: bool
) -> None:
    """`asyncio.wait` and `asyncio.shield` are for that; so is the run's own `wait()`."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("slow"), {})
        waiters = [asyncio.ensure_future(wait(run)), asyncio.ensure_future(run.wait())]
        await asyncio.sleep(1)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        assert now() == 1
        assert [waiter.cancelled() for waiter in waiters] == [True, True]
        assert await run.wait() is FINISHED

    assert unwound == [32]


async def test_awaiting_a_run_in_a_cancelled_scope_does_not_spin(task: Tasks) -> None:
    """Anyio cancels a waiter again in each turn of the loop, for as long as the run unwinds."""
    turns = 200
    began = anyio.Event()

    @task
    async def slow(event: tukio.Event) -> None:
        began.set()
        try:
            await asyncio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(turns):
                    await asyncio.sleep(0)

    loop: Any = asyncio.get_running_loop()
    async with loose() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        with anyio.CancelScope() as scope:
            await began.wait()
            loop.call_soon(scope.cancel)
            queued, call_soon = 0, loop.call_soon

            def count(*args: Any, **kwargs: Any) -> Any:
                nonlocal queued
                queued += 1
                return call_soon(*args, **kwargs)

            loop.call_soon = count
            try:
                await run
            finally:
                del loop.call_soon
        assert scope.cancelled_caught
        assert run.cancelled()

    # One for each turn of the step, and few for all the rest.
    assert turns <= queued < turns * 1.2


async def test_a_run_whose_future_was_ended_by_somebody_else_ends_all_the_same(
    unwound: list[float],
) -> None:
    """A future may be resolved by anybody; what the run does, and what it says, is its own."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        await asyncio.sleep(1)
        run.set_result(None)
        assert await run.wait() is FINISHED
        assert engine.instances == []

    assert unwound == [32]
    assert run.outputs == {"slow": {"n": 1}}


@eager_too
async def test_a_limit_on_waiting_for_a_run_cancels_it_and_it_is_really_over(
    unwound: list[float], eager: bool
) -> None:
    """In 1.x the limit never fired, or fired while the run went on."""
    use_tasks(eager=eager)

    async def limited_by_wait_for(run: Any) -> None:
        await asyncio.wait_for(run, 10)

    async def limited_by_timeout(run: Any) -> None:
        async with asyncio.timeout(10):
            await run

    async def limited_by_fail_after(run: Any) -> None:
        with anyio.fail_after(10):
            await run

    async with loose() as engine:
        for limited in (limited_by_wait_for, limited_by_timeout, limited_by_fail_after):
            start = now()
            run = await engine.run_once(flow("slow"), {})
            with pytest.raises(TimeoutError):
                await limited(run)
            assert now() - start == 12
            assert run.cancelled()
            assert engine.instances == []
            assert unwound.pop() == now()
            assert current().cancelling() == 0


@eager_too
async def test_a_step_that_awaits_another_run_is_cancelled_with_it(
    task: Tasks, unwound: list[float], eager: bool
) -> None:
    """A child workflow as 1.x code starts it: cancelling the outer one ends both."""
    use_tasks(eager=eager)
    children: list[Any] = []

    @task
    async def parent(event: tukio.Event) -> None:
        child: Any = await engine.run_once(flow("slow", id="child"), {})
        children.append(child)
        await child

    async with loose() as engine:
        run = await engine.run_once(flow("parent"), {})
        await asyncio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED
        assert now() == 3
        assert children[0].cancelled()

    assert unwound == [3]


@eager_too
async def test_a_step_whose_child_run_is_cancelled_ends_cancelled(
    task: Tasks, unwound: list[float], eager: bool
) -> None:
    """As when any future that it awaits is cancelled; nobody cancelled the run itself."""
    use_tasks(eager=eager)

    @task
    async def parent(event: tukio.Event) -> None:
        child: Any = await engine.run_once(flow("slow", id="child"), {})
        asyncio.get_running_loop().call_later(1, child.cancel)
        await child

    async with loose() as engine:
        run = await engine.run_once(flow("parent"), {})
        assert await run.wait() is FINISHED

    assert [step.state for step in run.tasks] == [CANCELLED]
    assert now() == 3


@eager_too
@pytest.mark.usefixtures("unwound")
async def test_a_limit_on_waiting_in_a_block_ends_only_the_waiting(*, eager: bool) -> None:
    """`wait_for` does as much where it awaits; where it uses the future, it cancels that."""
    use_tasks(eager=eager)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("slow"), {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await run
        assert run.status == "running"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run, 1)
        assert run.status == ("cancelled" if sys.version_info < (3, 12) else "running")
        run.cancel()
