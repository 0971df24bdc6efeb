"""Steps without an `await` in their code: they need no scope, and all is as it is with one.

What may wait or has a limit can be cut, wherever it comes among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen, states
from tukio._run.driver import BUDGET

if TYPE_CHECKING:
    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished
MANY = BUDGET * 10


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register a task that never waits, and one that does."""

    @task
    async def prompt(event: tukio.Event) -> dict[str, Any]:
        return event.data

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(30)


def chain(names: str, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a template of tasks in a row, given by their names, with ids t0, t1, ..."""
    words = names.split()
    ids = [f"t{number}" for number in range(len(words))]
    return flow(" ".join(ids), names=dict(zip(ids, words, strict=True)), **fields)


async def let_it_begin() -> None:
    """Let a long run do some of its steps, and wait for its next turn."""
    for _ in range(2):
        await anyio.lowlevel.checkpoint()


async def test_a_step_that_waits_after_some_that_do_not_is_cancelled_like_any_other() -> None:
    """The host enters a scope when the first step comes that may need it."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(chain("prompt prompt slow prompt"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED
    assert states(run) == {"t0": "finished", "t1": "finished", "t2": "cancelled", "t3": None}


async def test_a_limit_after_steps_that_do_not_wait_is_kept() -> None:
    """That of the step, to the instant."""
    async with tukio.Engine() as engine:
        start = anyio.current_time()
        template = chain("prompt slow prompt", limits={"t1": 5})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED
        assert anyio.current_time() - start == pytest.approx(5)
    assert states(run) == {"t0": "finished", "t1": "timeout", "t2": "finished"}


@pytest.fixture
def seen(task: Tasks) -> list[float]:
    """Register a task that does not wait, and looks how long it has: where that is noted."""
    seen: list[float] = []

    @task
    async def looks(event: tukio.Event) -> None:
        seen.append(anyio.current_effective_deadline() - anyio.current_time())

    return seen


@pytest.mark.parametrize("limited", ["the step", "the run"])
async def test_a_step_that_does_not_wait_can_ask_for_its_limit(
    seen: list[float], limited: str
) -> None:
    """Whoever has much to do without waiting can see how long there is."""
    limit: dict[str, Any] = {"limits": {"t1": 7.0}} if limited == "the step" else {"timeout": 7.0}
    async with tukio.Engine() as engine:
        for template in (chain("prompt looks", **limit), chain("prompt looks")):
            run = await engine.run_once(template, {})
            assert await run.wait() is FINISHED
    # What the test itself is given is long.
    assert seen[0] == pytest.approx(7)
    assert seen[1] > 1e6


async def test_a_grace_that_is_given_meanwhile_is_the_limit_of_the_steps_to_come(
    seen: list[float],
) -> None:
    """From then on they are in a scope."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(chain("prompt " * MANY + "looks"), {})
        await let_it_begin()
        await engine.stop(grace=5)
    assert run.state is FINISHED
    assert seen == [pytest.approx(5)]


async def test_a_step_that_does_not_wait_may_suspend_its_run(task: Tasks) -> None:
    """It has ended by then, and is not run again; the next one begins after the resume."""

    @task
    async def suspends(event: tukio.Event) -> dict[str, int]:
        assert tukio.current_workflow().suspend()
        return {"n": 1}

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(chain("suspends prompt"), {})
        await anyio.sleep(1)
        assert run.state is tukio.FutureState.suspended
        run.resume()
        assert await run.wait() is FINISHED
    assert kinds(story) == [
        "workflow-begin",
        "task-begin t0",
        "workflow-suspend",
        "task-end t0",
        "workflow-resume",
        "task-begin t1",
        "task-end t1",
        "workflow-end",
    ]
    assert run.outputs == {"t0": {"n": 1}, "t1": {"n": 1}}


async def test_a_step_that_fails_without_waiting_harms_no_other(task: Tasks) -> None:
    """The others of the same host go on, before and after it."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise ValueError(1)

    graph = {"root": ["a", "b", "c"], "a": [], "b": ["d"], "c": ["e"], "d": [], "e": []}
    names = dict.fromkeys(graph, "prompt") | {"b": "fails"}
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow(graph, names=names), {"n": 0})
        assert await run.wait() is FINISHED
    assert states(run) == dict.fromkeys(graph, "finished") | {"b": "exception", "d": None}
    assert list(run.errors) == ["b"]


@pytest.mark.parametrize("how", ["cancel", "stop", "scope"])
async def test_a_long_row_of_steps_that_do_not_wait_can_be_cancelled(how: str) -> None:
    """The host lets others have a turn now and then, and notices what they did."""
    async with anyio.create_task_group() as group, tukio.Engine() as engine:
        run = await engine.run_once(chain("prompt " * MANY), {})
        await let_it_begin()
        if how == "cancel":
            run.cancel()
        elif how == "scope":
            group.cancel_scope.cancel()
        else:
            await engine.stop(force=True)
    assert run.state is CANCELLED
    assert 0 < len(run.tasks) < MANY


async def test_a_function_that_is_given_new_code_can_be_cancelled(task: Tasks) -> None:
    """So do tools that load what was edited into a program that runs: now it waits."""

    @task
    async def edited(event: tukio.Event) -> None:
        pass

    async def waits(event: tukio.Event) -> None:
        await anyio.sleep(30)

    async with tukio.Engine() as engine:
        run = await engine.run_once(chain("edited"), {})
        assert await run.wait() is FINISHED
        edited.__code__ = waits.__code__
        run = await engine.run_once(chain("edited"), {})
        await anyio.sleep(1)
        run.cancel()
        with anyio.fail_after(1):
            assert await run.wait() is CANCELLED
