"""G1, G5: a block is left when all of it is over, whoever is impatient meanwhile.

A native cancellation of asyncio pierces every shield, and Ctrl-C does so on trio, too. Both are
kept, and delivered when nothing is alive any more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.impatience import a_scope_spares_others, cancel_natively_at_every_await
from support.native import current, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

native = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled

WAYS = ("normally", "failed", "cancelled", "by its scope", "by a limit")
"""How the body of a block ends."""


@pytest.fixture
def story() -> list[str]:
    """Return what happened, in order."""
    return []


@pytest.fixture(autouse=True)
def slow(task: Tasks, story: list[str]) -> None:
    """Register a task that works for long, and takes two awaits to clean up after itself."""

    @task
    class Slow(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(0.05)

        async def teardown(self) -> None:
            story.append("tearing down")
            await anyio.sleep(0.01)
            await anyio.lowlevel.checkpoint()
            story.append("torn down")


async def block(story: list[str], runs: list[Any], how: str = "normally") -> None:
    """Enter an engine, start two runs of `Slow`, and leave it in one of several ways."""
    try:
        with anyio.CancelScope() as scope:
            async with asyncio.timeout(0.02 if how == "by a limit" else None):
                async with tukio.Engine(cleanup_timeout=1) as engine:
                    runs += [await engine.run_once(flow("Slow"), {}) for _ in range(2)]
                    await anyio.sleep(0.01)
                    if how == "failed":
                        raise LookupError(how)
                    if how == "cancelled":
                        current().cancel()
                        await anyio.lowlevel.checkpoint()
                    if how == "by its scope":
                        scope.cancel()
                    if how == "by a limit":
                        await anyio.sleep(1)
    finally:
        story.append("left")


async def told(story: list[str], what: str) -> None:
    """Wait until something has happened."""
    while what not in story:  # noqa: ASYNC110 - a list has no event
        await asyncio.sleep(0.001)


def whole(story: list[str], runs: list[Any]) -> None:
    """Check that what was torn down was so to the end, before the block was left."""
    assert story.count("tearing down") == story.count("torn down")
    assert story[-1] == "left"
    assert story.count("left") == 1
    assert all(run.done() for run in runs)


async def nothing_is_alive(before: set[asyncio.Task[Any]], factory: Any) -> None:
    """Check that no task of an engine is there, and that the loop is as it was."""
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()
    assert asyncio.get_running_loop().get_task_factory() is factory


@native
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_g1_cancelling_natively_at_every_await_leaves_nothing(
    story: list[str], how: str, times: int
) -> None:
    """Also while it is being left, and again while that goes on."""
    runs: list[Any] = []
    before, factory = asyncio.all_tasks(), asyncio.get_running_loop().get_task_factory()
    # Where anyio itself loses a cancellation, it is lost with no engine at all.
    passes = how != "by its scope" or await a_scope_spares_others()

    async def body() -> None:
        story.clear()
        runs.clear()
        with suppress(LookupError, TimeoutError):
            await block(story, runs, how)

    async def check(task: asyncio.Task[Any]) -> None:
        whole(story, runs)
        await nothing_is_alive(before, factory)
        assert task.cancelling() >= 1
        assert task.cancelled() or not passes

    if how == "cancelled":
        # Cancelled without our help: then the last run would never be seen as such.
        task = asyncio.ensure_future(body())
        await asyncio.wait([task])
        await check(task)
        return
    assert await cancel_natively_at_every_await(body, check, times=times) > 3


@native
@pytest.mark.parametrize("how", WAYS[:4])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_g1_a_second_and_third_native_cancellation_come_out_when_all_is_over(
    story: list[str], how: str, times: int
) -> None:
    """One exception for all of them, and each one counted by the task."""
    runs: list[Any] = []
    before, factory = asyncio.all_tasks(), asyncio.get_running_loop().get_task_factory()
    task = asyncio.ensure_future(block(story, runs, how))
    if how == "normally":
        await asyncio.sleep(0.02)
        task.cancel()
    await told(story, "tearing down")
    counted = task.cancelling() if how != "by its scope" else 0
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    await asyncio.wait([task])
    await nothing_is_alive(before, factory)
    whole(story, runs)
    assert story.count("torn down") == 2
    assert [run.state for run in runs] == [CANCELLED] * 2
    assert task.cancelled()
    assert task.cancelling() == counted + times


@native
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("how", ["normally", "failed"])
async def test_g1_all_tasks_of_the_loop_are_cancelled_again_and_again(
    story: list[str], how: str, times: int
) -> None:
    """As a server does that goes down, out of a task or out of a callback."""
    runs: list[Any] = []
    me, loop = current(), asyncio.get_running_loop()
    before, factory = asyncio.all_tasks(), loop.get_task_factory()

    def cancel_all() -> None:
        for other in asyncio.all_tasks(loop) - {me}:
            other.cancel()

    for by in (cancel_all, lambda: loop.call_soon(cancel_all)):
        story.clear()
        task = asyncio.ensure_future(block(story, runs, how))
        await asyncio.sleep(0.012 if how == "failed" else 0.005)
        for _ in range(times + (how == "normally")):
            by()
            await asyncio.sleep(0.002)
        assert story == ["tearing down"] * 2
        await asyncio.wait([task])
        await nothing_is_alive(before, factory)
        assert story == ["tearing down"] * 2 + ["torn down"] * 2 + ["left"]
        assert [run.state for run in runs] == [CANCELLED] * len(runs)
        assert task.cancelled()


@native
async def test_g1_a_limit_of_asyncio_around_the_block_is_still_a_timeout(story: list[str]) -> None:
    """It comes while the block is being left; a second one around that, too."""
    start = now()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.015):
            await block(story, [], "failed")
    assert current().cancelling() == 0
    assert now() - start == pytest.approx(0.02, abs=0.004)
    assert story == ["tearing down"] * 2 + ["torn down"] * 2 + ["left"]
    await asyncio.sleep(0)


@native
async def test_g1_two_limits_of_asyncio_while_the_block_is_being_left(story: list[str]) -> None:
    """The outer one wins, for both were asked for when the block was over."""
    inner = asyncio.timeout(0.013)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.016):
            async with inner:
                await block(story, [], "failed")
    assert inner.expired()
    assert current().cancelling() == 0
    assert story[-1] == "left"


@native
async def test_g1_a_task_group_around_the_block_raises_what_failed(story: list[str]) -> None:
    """Its own cancellation of the block ends with it."""

    async def fails() -> None:
        await asyncio.sleep(0.012)
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            group.create_task(block(story, [], "failed"))
    assert story == ["tearing down"] * 2 + ["torn down"] * 2 + ["left"]


@native
async def test_g1_a_scope_and_a_native_cancellation_at_once(story: list[str]) -> None:
    """The scope takes its own; the native one goes on."""
    after: list[str] = []

    async def body() -> None:
        with anyio.move_on_after(0.012):
            await block(story, [])
        after.append("went on")

    task = asyncio.ensure_future(body())
    await told(story, "tearing down")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert after == []
    assert story == ["tearing down"] * 2 + ["torn down"] * 2 + ["left"]


@native
async def test_g1_impatience_gives_handlers_no_more_time() -> None:
    """They have the limit of a clean-up, once."""

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async def body() -> None:
        async with tukio.Engine(cleanup_timeout=0.05) as engine:
            engine.broker.register(slow, "a")
            engine.broker.dispatch({}, "a")

    start = now()
    task = asyncio.ensure_future(body())
    for _ in range(3):
        await asyncio.sleep(0.015)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert now() - start == pytest.approx(0.05, abs=0.01)


@native
@pytest.mark.parametrize(
    "kind", ["asyncio.timeout", "anyio", "asyncio.TaskGroup", "child", "itself"]
)
async def test_g5_what_a_teardown_asks_for_itself_reaches_it(task: Tasks, kind: str) -> None:
    """It is out of reach of others only."""
    story: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(1)

        async def teardown(self) -> None:
            start = now()
            with suppress(TimeoutError, ExceptionGroup, asyncio.CancelledError):
                await LIMITED[kind]()
            story.append("short" if now() - start < 0.1 else "long")
            await asyncio.sleep(0)
            story.append("torn down")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Careful"), {})
        await anyio.sleep(0.01)
        run.cancel()
        await run.wait()

    assert story == ["short", "torn down"]
    assert run.errors == {}


async def _by_timeout() -> None:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(1)


async def _by_scope() -> None:
    with anyio.move_on_after(0.01):
        await asyncio.sleep(1)


async def _by_group() -> None:
    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise LookupError

    async with asyncio.TaskGroup() as group:
        group.create_task(fails())
        await asyncio.sleep(1)


async def _by_child() -> None:
    parent = current()

    async def cancels() -> None:
        parent.cancel()

    child = asyncio.ensure_future(cancels())
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(1)
    await child


async def _by_itself() -> None:
    current().cancel()
    await asyncio.sleep(1)


LIMITED: dict[str, Callable[[], Any]] = {
    "asyncio.timeout": _by_timeout,
    "anyio": _by_scope,
    "asyncio.TaskGroup": _by_group,
    "child": _by_child,
    "itself": _by_itself,
}


@native
async def test_g5_a_cancellation_that_a_step_left_pending_spares_its_teardown(task: Tasks) -> None:
    """It asks for its own, and is cut before that could happen."""
    story: list[str] = []

    @task
    class Leaves(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep(1)
            finally:
                current().cancel()

        async def teardown(self) -> None:
            await asyncio.sleep(0.01)
            story.append("torn down")

    @task
    class Fails(Leaves):
        async def execute(self, event: tukio.Event) -> None:
            try:
                await anyio.sleep(1)
            finally:
                current().cancel()
                raise LookupError

    for name in ("Leaves", "Fails"):
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow(name), {})
            await anyio.sleep(0.01)
            run.cancel()
            assert await run.wait() is CANCELLED
        assert story.pop() == "torn down"
