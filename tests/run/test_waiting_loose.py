"""Runs of the loose mode that wait: one task in the background stands for all of a loop.

Without it nobody would notice that the program ends: such a run has no task that is cancelled.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.counting import tasks_alive, tasks_named, timers_alive
from support.flow import flow, kinds, listen
from support.leaks import no_asyncio_errors
from support.suspensions import suspended
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tukio.testing.loop import VirtualTime

pytestmark = [pytest.mark.backends("asyncio", "uvloop"), pytest.mark.usefixtures("naps")]

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended

NAME = "tukio waiting"


def waiters() -> int:
    """Return how many tasks stand for runs that wait."""
    return len([*tasks_named(NAME)])


async def test_one_task_lives_while_any_run_waits_and_ends_with_the_last() -> None:
    """However they stop waiting, and of however many engines; the next one gets a new task."""
    tasks, timers = tasks_alive(), timers_alive()
    engines = tukio.Engine(), tukio.Engine()
    for _ in range(2):
        runs = [run for engine in engines for run in await suspended(engine, 50, timeout=100)]
        assert waiters() == 1
        assert len(tasks_alive()) == len(tasks) + 1
        assert timers_alive() == timers + 1
        for run in runs[1:50]:
            run.cancel()
        for run in runs[50:99]:
            run.resume()
        await anyio.sleep(6)
        assert {run.state for run in runs[50:99]} == {FINISHED}
        assert waiters() == 1
        assert runs[0].resume()
        await settle()
        assert waiters() == 1
        assert await runs[99].wait() is TIMEOUT
        await settle()
        assert tasks_alive() == tasks
        assert timers_alive() == timers


async def test_a_run_that_waits_for_others_is_stood_for_too() -> None:
    """Until it starts, or is cancelled."""
    engine = tukio.Engine()
    await engine.load(flow("shields", policy="abort-running"))
    first: Any = await engine.trigger("flow", {})
    await anyio.sleep(1)
    second: Any = await engine.trigger("flow", {})
    await settle()
    assert waiters() == 1
    third: Any = await engine.trigger("flow", {})
    assert second.state is CANCELLED
    await settle()
    assert waiters() == 1
    await first.wait()
    await settle()
    assert waiters() == 0
    assert third.report()["exec"]["start"] is not None
    await engine.stop(force=True)


@pytest.mark.parametrize("at_once", [False, True])
async def test_who_cancels_all_tasks_cancels_the_runs_that_wait(at_once: bool) -> None:
    """Each is told, by its end event, and so is whoever waits for it.

    Also if the task that stands for them has only just been started.
    """
    engine = tukio.Engine()
    story = listen(engine)
    runs: list[Any] = []

    def suspend(event: tukio.Event) -> None:
        if event.data["type"] == "task-end":
            runs[0].suspend()
            if at_once:
                (task,) = tasks_named(NAME)
                task.cancel()

    engine.broker.register(suspend, tukio.EXEC_TOPIC)
    runs.append(await engine.run_once(flow("quick nap"), {}))
    (run,) = runs
    if not at_once:
        await settle()
        assert run.state is SUSPENDED
        (task,) = tasks_named(NAME)
        task.cancel()
    with anyio.fail_after(1):
        assert await run.wait() is CANCELLED
    assert run.cancelled()
    assert kinds(story)[-1] == "workflow-end"
    assert story[-1][2] == {"cancel": True}
    await settle()
    assert waiters() == 0
    assert engine.instances == []


async def test_runs_suspended_after_all_were_cancelled_are_stood_for_anew() -> None:
    """A handler of the end may start a run, and suspend it: it is not lost."""
    engine = tukio.Engine()
    (first,) = await suspended(engine, 1)
    later: list[Any] = []

    def start(event: tukio.Event) -> None:
        if event.data["type"] == "workflow-end" and not later:
            later.append(tukio.Workflow(flow("nap"), broker=engine.broker))
            later[0].run({})
            assert later[0].suspend()

    engine.broker.register(start, tukio.EXEC_TOPIC)
    (task,) = tasks_named(NAME)
    task.cancel()
    assert await first.wait() is CANCELLED
    await settle()
    assert later[0].state is SUSPENDED
    assert waiters() == 1
    engine.broker.unregister(start, tukio.EXEC_TOPIC)
    later[0].resume()
    assert await later[0].wait() is FINISHED
    await settle()
    assert waiters() == 0


def end_of_program(loop: VirtualTime) -> None:
    """Do what `asyncio.run` does when its main function has returned."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


async def wait_settled(run: Any) -> None:
    """Let all come to rest."""
    await settle()


async def stop_at_once(run: Any) -> None:
    """Go on as it is."""


@pytest.mark.parametrize("then", [wait_settled, stop_at_once])
@pytest.mark.parametrize("template", ["nap", "shields", "quick nap"])
def test_the_end_of_a_program_ends_the_runs_that_wait(
    backend: str, template: str, then: Callable[[Any], Any]
) -> None:
    """In good order, told to subscribers, whoever waits, and callbacks; nothing is left pending."""
    told: list[str] = []

    async def wait(run: Any) -> None:
        try:
            await run.wait()
        finally:
            told.append(run.state.value)

    async def main() -> tuple[Any, Any]:
        engine = tukio.Engine()
        story = listen(engine)
        run: Any = await engine.run_once(flow(template, timeout=1e6), {})
        waiter = asyncio.ensure_future(wait(run))
        run.add_done_callback(lambda _: told.append("callback"))
        await asyncio.sleep(1)
        assert run.suspend()
        await then(run)
        return run, (story, waiter)

    with no_asyncio_errors():
        loop = new_loop(backend)
        run, (story, _) = loop.run_until_complete(main())
        assert run.state is SUSPENDED
        end_of_program(loop)
        assert asyncio.all_tasks(loop) == set()
        timers = loop.live_timers()
        loop.close()
    assert run.state is CANCELLED
    assert kinds(story)[-1] == "workflow-end"
    assert kinds(story).count("workflow-end") == 1
    assert timers == []
    assert "callback" in told


def test_a_run_that_waits_needs_nobody_who_keeps_it(backend: str) -> None:
    """It is a root of its own, as in 1.x, and reaches its limit."""
    traces: list[str] = []

    async def main() -> None:
        engine = tukio.Engine()
        engine.broker.register(lambda event: traces.append(event.data["type"]), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("nap", timeout=60), {})
        await asyncio.sleep(1)
        run.suspend()

    async def sleep() -> None:
        await asyncio.sleep(100)

    with no_asyncio_errors():
        loop = new_loop(backend)
        loop.run_until_complete(main())
        gc.collect()
        loop.run_until_complete(sleep())
        assert asyncio.all_tasks(loop) == set()
        loop.close()
    assert traces[-2:] == ["task-cancel", "workflow-end"]
