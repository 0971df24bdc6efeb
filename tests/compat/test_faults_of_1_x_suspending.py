"""Faults of tukio 1.1.2, B10-B17: suspended runs that ended, forgot or repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
CANCELLED = tukio.FutureState.cancelled
SUSPENDED = tukio.FutureState.suspended

ENDS: dict[str, Callable[[Any, Any], object]] = {
    "cancel": lambda engine, run: run.cancel(),
    "timeout": lambda engine, run: run.timeout(),
    "stop": lambda engine, run: engine.stop(force=True),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("begun", [True, False], ids=["suspended", "never run"])
async def test_b10_a_run_that_was_cut_does_not_end_as_finished(
    ran: list[str], begun: bool, end: Callable[[Any, Any], object]
) -> None:
    """In 1.1.2 a suspended or never run workflow that was cut ended "finished"."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "slow", "b": "slow"}), {})
        if begun:
            await anyio.sleep(1)
            run.suspend()
            await anyio.sleep(1)
        end(engine, run)
        cut = tukio.FutureState.timeout if end is ENDS["timeout"] else CANCELLED
        assert await run.wait() is cut

    assert story[-1][0] == "workflow-end"
    assert story[-1][2]["cancel"] is True
    assert run.report()["exec"]["state"] == cut.value


async def test_b10_abort_running_and_stop_do_not_wait_for_a_suspended_run(ran: list[str]) -> None:
    """In 1.1.2 `stop()` with a suspended run never ended; by force, the run ended finished."""
    async with tukio.Engine() as engine:
        await engine.load(flow("a", names={"a": "slow"}, policy="abort-running"))
        first: Any = await engine.trigger("flow", {})
        await anyio.sleep(1)
        first.suspend()
        second: Any = await engine.trigger("flow", {})
        assert await first.wait() is CANCELLED
        assert await second.wait() is FINISHED


async def test_b11_nothing_starts_after_the_end(ran: list[str]) -> None:
    """In 1.1.2 the successor of a task that ended while suspended was started after the end."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a b", names={"a": "quick", "b": "slow"}), {})
        while not any(kind == "task-end" for kind, _, _ in story):  # noqa: ASYNC110
            await anyio.lowlevel.checkpoint()
        run.suspend()
        run.cancel()
        assert await run.wait() is CANCELLED
        before = list(story)
        await anyio.sleep(60)

    assert story == before
    assert story[-1] == ("workflow-end", None, {"cancel": True})


@pytest.mark.parametrize("turns", range(8))
async def test_b12_a_task_that_is_over_is_not_run_again(ran: list[str], turns: int) -> None:
    """In 1.1.2 a suspension in the turn after A ended made A run twice, and B beside it."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        names = {"a": "quick", "b": "slow", "c": "quick"}
        run = await engine.run_once(flow("a b c", names=names), {})
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        run.suspend()
        await settle()
        assert run.state is SUSPENDED
        run.resume()
        assert await run.wait() is FINISHED

    assert ran.count("a") == ran.count("c") == 1
    assert kinds(story).count("task-end a") == 1
    assert list(dict.fromkeys(ran)) == ["a", "b", "c"]


@pytest.mark.parametrize("times", [1, 3])
async def test_b13_suspend_and_resume_back_to_back_lose_nothing(ran: list[str], times: int) -> None:
    """In 1.1.2 A was cancelled and never run again, and the workflow finished with nothing done."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"a": "slow", "b": "quick"}), {})
        await anyio.sleep(1)
        for _ in range(times):
            assert run.suspend()
            assert run.resume()
        assert await run.wait() is FINISHED

    assert ran == ["a", "a", "b"]
    assert anyio.current_time() - start == 11
    assert list(run.outputs) == ["a", "b"]


async def test_b14_a_second_suspension_runs_only_its_own_tasks_again(ran: list[str]) -> None:
    """In 1.1.2 the tasks of the first suspension were run again as well: A A B A B."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"a": "slow", "b": "slow"}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        await anyio.sleep(11)
        run.suspend()
        await anyio.sleep(1)
        run.resume()
        assert await run.wait() is FINISHED

    assert ran == ["a", "a", "b", "b"]


async def test_b15_to_suspend_a_run_that_is_over_does_nothing(ran: list[str]) -> None:
    """In 1.1.2 its state became "suspended", with an event after the end."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a", names={"a": "quick"}), {})
        await run.wait()
        report = run.report()
        assert not run.suspend()
        assert not run.resume()

    assert run.report() == report
    assert kinds(story)[-1] == "workflow-end"


async def test_b16_a_task_that_returns_when_it_is_interrupted_is_over(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 its result was kept and it was run again all the same."""

    @task
    async def a(event: tukio.Event) -> dict[str, Any]:
        ran.append("a")
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            return {"early": True}
        return {"early": False}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"b": "quick"}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        assert ran == ["a"]
        run.resume()
        assert await run.wait() is FINISHED

    assert ran == ["a", "b"]
    assert run.outputs == {"a": {"early": True}, "b": {"early": True, "b": 1}}


async def test_b17_a_resumed_task_sees_who_really_sent_its_event(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 the source of its event was its own former self."""
    senders: list[str | None] = []

    @task
    async def b(event: tukio.Event) -> None:
        senders.append(event.source.task_template_id if event.source else None)
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"a": "quick"}), {"n": 1})
        await anyio.sleep(1)
        run.suspend()
        run.resume()
        assert await run.wait() is FINISHED

    assert senders == ["a", "a"]
