"""What a step leaves behind on its host, which drives one step after the other.

Native cancellations of asyncio above all: swallowed, taken back, or meant for another one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.native import current, now
from support.peace import PEACE, patient
from tukio.task.factory import TukioTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

CANCELLED = tukio.FutureState.cancelled
TIMEOUT = tukio.FutureState.timeout
FINISHED = tukio.FutureState.finished


async def swallow() -> None:
    """Cancel the calling task natively, and take no notice."""
    current().cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


async def swallow_twice() -> None:
    """Do so two times over."""
    await swallow()
    await swallow()


async def swallow_two_at_once() -> None:
    """Ask for two, get one."""
    current().cancel()
    await swallow()


async def ask_and_return() -> None:
    """Cancel the calling task natively, and leave before it can happen."""
    current().cancel()


async def ask_late_and_return() -> None:
    """Do so after a suspension."""
    await asyncio.sleep(1)
    current().cancel()


async def take_back() -> None:
    """Uncancel, which until Python 3.13 leaves the exception pending."""
    current().cancel()
    current().uncancel()


async def swallow_and_take_back() -> None:
    """Do it by the book."""
    await swallow()
    current().uncancel()


async def swallow_the_cancellation_of_the_step() -> None:
    """The same with the step's own cancellation, which comes again at each await."""
    tukio.current_task().cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


async def cancel_the_step_and_return() -> None:
    """Cancel the step, and leave before it can happen."""
    tukio.current_task().cancel()


async def be_cancelled_from_outside() -> None:
    """Have another task cancel the host, and take no notice."""
    asyncio.get_running_loop().call_later(1, current().cancel)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(5)


@pytest.mark.parametrize(
    "act",
    [
        swallow,
        swallow_twice,
        swallow_two_at_once,
        ask_and_return,
        ask_late_and_return,
        take_back,
        swallow_and_take_back,
        swallow_the_cancellation_of_the_step,
        cancel_the_step_and_return,
        be_cancelled_from_outside,
    ],
    ids=lambda act: act.__name__,
)
async def test_what_a_step_made_of_its_cancellation_does_not_reach_the_next_one(
    task: Tasks, act: Callable[[], Awaitable[None]]
) -> None:
    """It came to its end, so it has finished; the next step on the same host starts afresh."""
    story = patient(task)
    hosts: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current())
        await act()

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a after"), {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert [step.state for step in run.tasks] == [FINISHED, FINISHED]
    assert story == PEACE
    assert len(hosts) == 1


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_host_that_is_cancelled_again_while_it_settles_settles_that_as_well(
    task: Tasks, times: int
) -> None:
    """In each of the turns that it takes: all were meant for a step that is over."""
    story = patient(task)
    loop = asyncio.get_running_loop()

    @task
    async def a(event: tukio.Event) -> None:
        host, left = current(), times

        def cancel_in_each_turn() -> None:
            nonlocal left
            host.cancel()
            left -= 1
            if left:
                loop.call_soon(cancel_in_each_turn)

        await swallow()
        # By somebody else, and not by what this step has left behind.
        loop.call_soon(cancel_in_each_turn, context=Context())

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a after"), {})
        assert await run.wait() is FINISHED

    assert run.errors == {}
    assert [step.state for step in run.tasks] == [FINISHED, FINISHED]
    assert story == PEACE


@pytest.mark.parametrize("end", ["cancel", "timeout", "suspend"])
async def test_a_run_may_be_cut_while_its_host_settles_what_a_step_swallowed(
    task: Tasks, end: str
) -> None:
    """It comes about in the one turn that settling takes; the engine must not spin then."""

    @task
    async def a(event: tukio.Event) -> None:
        await swallow()
        asyncio.get_running_loop().call_soon(getattr(run, end))

    @task
    async def b(event: tukio.Event) -> None:
        raise AssertionError

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b"), {})
        if end == "suspend":
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert run.state is tukio.FutureState.suspended
            run.cancel()
        assert await run.wait() is (TIMEOUT if end == "timeout" else CANCELLED)

    assert [step.state for step in run.tasks] == [FINISHED, CANCELLED]


async def test_a_step_that_cancels_itself_natively_ends_cancelled_and_alone(task: Tasks) -> None:
    """Its branch stops; its siblings, and the run, go on."""

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def bad(event: tukio.Event) -> None:
        current().cancel("enough")
        await asyncio.sleep(5)

    story = patient(task)
    async with tukio.Engine() as engine:
        template = flow({"root": ["bad", "after"], "bad": ["never"]}, names={"never": "bad"})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert [step.state for step in run.tasks] == [FINISHED, CANCELLED, FINISHED]
    assert story == PEACE


async def test_a_native_cancellation_from_outside_ends_the_step_with_its_clean_up(
    task: Tasks,
) -> None:
    """As when a library that knows only asyncio gives up on the current task."""
    story: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            asyncio.get_running_loop().call_later(1, current().cancel)
            try:
                await asyncio.sleep(5)
            finally:
                story.append("unwound")

        async def teardown(self) -> None:
            await asyncio.sleep(1)
            story.append("torn down")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("Careful"), {})
        await run.wait()

    assert now() == 2
    assert story == ["unwound", "torn down"]
    assert [step.state for step in run.tasks] == [CANCELLED]


@pytest.mark.parametrize("turns", [0, 1, 2])
async def test_a_host_that_is_cancelled_before_it_begins_does_not_lose_its_run(
    task: Tasks, turns: int
) -> None:
    """Asyncio would not even start the coroutine; the run ends in good order all the same."""
    begun: list[str] = []

    async def wait(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)
        await asyncio.sleep(30)

    task(wait)
    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys(["a", "b"], "wait")
        run = await engine.run_once(
            flow({"root": ["a", "b"]}, names=names | {"root": "nothing"}), {}
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        hosts = [other for other in asyncio.all_tasks() if isinstance(other, TukioTask)]
        unbegun = [host for host in hosts if not host.begun]
        assert len(unbegun) == (1 if turns < 2 else 0)
        for host in unbegun:
            assert host.cancel()
            assert host.cancel()
        if turns == 2:
            run.cancel()
        assert await run.wait() is CANCELLED

    assert now() == 0
    assert begun == [[], ["a"], ["a", "b"]][turns]
    assert kinds(story)[-1] == "workflow-end"
    assert kinds(story).count("workflow-end") == 1


@pytest.fixture(autouse=True)
def nothing(task: Tasks) -> None:
    """Register a task that does nothing."""

    @task
    async def nothing(event: tukio.Event) -> None:
        pass
