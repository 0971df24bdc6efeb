"""How tasks and runs are cut short in tukio 1.1.2 is kept: by time limits, by cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, states, step_of
from support.loose import loose

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
CANCELLED = tukio.FutureState.cancelled
TIMEOUT = tukio.FutureState.timeout
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

QUICK = dict.fromkeys("abcde", "quick")
FORK = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}


def slow(*ids: str) -> dict[str, str]:
    """Return names by which these tasks are `slow` and the others `quick`."""
    return QUICK | dict.fromkeys(ids, "slow")


@pytest.fixture
def torn(task: Tasks) -> list[str]:
    """Register `torn`, which takes 10 s; say what became of it, its clean-up included.

    Its `teardown` returns what the config says.
    """
    story: list[str] = []

    class torn(tukio.TaskHolder):  # noqa: N801 - named as it is registered
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            story.append("begin")
            try:
                await anyio.sleep(10)
            except anyio.get_cancelled_exc_class():
                story.append("cut")
                raise
            return {**event.data, "whole": 1}

        def teardown(self) -> Any:
            story.append("teardown")
            return self.config.get("output")

    task(torn)
    return story


def tearing(output: Any, **fields: Any) -> tukio.WorkflowTemplate:
    """Return a -> b, where `a` is `torn` and `b` is `quick`."""
    template = flow("a b", names={"a": "torn", "b": "quick"}, **fields)
    template.tasks[0].config = {"output": output}
    return template


# Time limits of tasks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "passed_on"),
    [({"partial": 1}, {"partial": 1}), ({}, {}), (None, {"in": 0})],
    ids=["some", "empty", "none"],
)
async def test_a_task_past_its_limit_passes_on_what_teardown_returns(
    torn: list[str], ran: list[str], output: Any, passed_on: Any
) -> None:
    """Or its inputs; `teardown` comes after the coroutine has ended."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(tearing(output, limits={"a": 2}), {"in": 0})
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 2
    assert torn == ["begin", "cut", "teardown"]
    assert states(run) == {"a": "timeout", "b": "finished"}
    assert execution(run, "a")["outputs"] == execution(run, "b")["inputs"] == passed_on
    assert step_of(run, "a").timed_out


async def test_a_function_past_its_limit_passes_its_inputs_on(ran: list[str]) -> None:
    """Its state is `timeout`, and so is its output."""
    async with tukio.Engine() as engine:
        template = flow("a b", names=slow("a"), limits={"a": 2})
        run: Any = await engine.run_once(template, {"in": 0})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "timeout", "b": "finished"}
    assert execution(run, "a")["outputs"] == execution(run, "b")["inputs"] == {"in": 0}


async def test_a_leaf_past_its_limit_has_whatever_teardown_returns(torn: list[str]) -> None:
    """Nobody follows who would need a dict."""
    template = flow("a", names={"a": "torn"}, limits={"a": 2})
    template.tasks[0].config = {"output": "text"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert (states(run), execution(run, "a")["outputs"]) == ({"a": "timeout"}, "text")


async def test_the_limit_of_a_task_is_not_that_of_its_siblings(ran: list[str]) -> None:
    """They take the time they need."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        template = flow(FORK, names=slow("b", "c"), limits={"b": 2})
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 10
    assert states(run) == dict.fromkeys("acde", "finished") | {"b": "timeout"}
    assert ran == ["a", "b", "c", "d", "e"]


async def test_a_task_that_returns_when_it_is_cut_has_finished(task: Tasks, ran: list[str]) -> None:
    """Its result goes on as ever."""

    @task
    async def answers(event: tukio.Event) -> dict[str, Any] | None:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            return {"answer": 1}
        return None

    async with tukio.Engine() as engine:
        template = flow("a b", names={"a": "answers", "b": "quick"}, limits={"a": 2})
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert states(run) == {"a": "finished", "b": "finished"}
    assert run.outputs == {"a": {"answer": 1}, "b": {"answer": 1, "b": 1}}


async def test_within_its_limit_a_task_is_not_torn_down(torn: list[str], ran: list[str]) -> None:
    """Nor is it cut."""
    async with tukio.Engine() as engine:
        template = tearing({"partial": 1}, limits={"a": 11}, timeout=11)
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert torn == ["begin"]
    assert run.outputs == {"a": {"whole": 1}, "b": {"whole": 1, "b": 1}}
    assert not step_of(run, "a").timed_out
    assert not run.timed_out


async def test_a_limit_of_zero_is_no_limit(ran: list[str]) -> None:
    """Of a task and of a workflow."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        template = flow("a b", names=slow("a"), limits={"a": 0}, timeout=0)
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 10
    assert states(run) == {"a": "finished", "b": "finished"}


# Time limits of workflows, and cancellation -------------------------------------------------------

CUTS: dict[str, Callable[[Any, Any], object]] = {
    "cancel": lambda engine, run: run.cancel(),
    "stop by force": lambda engine, run: engine.stop(force=True),
    "timeout": lambda engine, run: run.timeout(),
    "limit": lambda engine, run: None,
}


@pytest.mark.parametrize("how", CUTS)
async def test_a_run_that_is_cut_cancels_all_its_tasks(
    task: Tasks, torn: list[str], ran: list[str], how: str
) -> None:
    """Each is torn down; nothing follows; what had ended stays as it was."""
    start = anyio.current_time()
    cut_by_limit = how in {"timeout", "limit"}
    async with tukio.Engine() as engine:
        names = slow("c") | {"b": "torn"}
        template = flow(FORK, names=names, timeout=2 if how == "limit" else None)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1 if how != "limit" else 2)
        CUTS[how](engine, run)
        assert await run.wait() is (TIMEOUT if cut_by_limit else CANCELLED)

    assert anyio.current_time() - start == (2 if how == "limit" else 1)
    assert torn == ["begin", "cut", "teardown"]
    assert states(run) == {
        "a": "finished",
        "b": "cancelled",
        "c": "cancelled",
        "d": None,
        "e": None,
    }
    assert execution(run, "b")["outputs"] is execution(run, "c")["outputs"] is None
    assert run.report()["exec"]["state"] == run.state.value
    assert run.timed_out is cut_by_limit
    assert ran == ["a", "c"]


@as_in_1_x
@pytest.mark.parametrize("limit", [None, 2])
async def test_who_awaits_a_run_that_is_cut_gets_a_cancelled_error(
    ran: list[str], limit: float | None
) -> None:
    """Also if it has reached its limit."""
    async with loose() as engine:
        run: Any = await engine.run_once(flow("a", names=slow("a"), timeout=limit), {})
        if limit is None:
            asyncio.get_running_loop().call_later(1, run.cancel)
        with pytest.raises(asyncio.CancelledError):
            await run

    assert run.cancelled()


async def test_to_cancel_answers_true(ran: list[str]) -> None:
    """As often as it is said while the run is not over."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names=slow("a")), {})
        await anyio.sleep(1)
        assert run.cancel() is True
        assert run.cancel() is True
        assert await run.wait() is CANCELLED


async def test_a_task_may_cancel_its_own_run(task: Tasks, ran: list[str]) -> None:
    """It notices at its next await."""
    steps: list[str] = []

    @task
    async def cancels(event: tukio.Event) -> None:
        tukio.current_workflow().cancel()
        steps.append("goes on")
        await anyio.sleep(1)
        steps.append("too far")

    async with tukio.Engine() as engine:
        names = {"a": "cancels", "b": "quick"}
        run: Any = await engine.run_once(flow("a b", names=names), {})
        assert await run.wait() is CANCELLED

    assert steps == ["goes on"]
    assert states(run) == {"a": "cancelled", "b": None}


async def test_a_task_that_cancels_its_run_and_returns_ends_it(task: Tasks, ran: list[str]) -> None:
    """At once: nothing follows from its result."""

    @task
    async def cancels(event: tukio.Event) -> dict[str, int]:
        tukio.current_workflow().cancel()
        return {"n": 1}

    async with tukio.Engine() as engine:
        names = {"a": "cancels", "b": "quick"}
        run: Any = await engine.run_once(flow("a b", names=names), {})
        assert await run.wait() is CANCELLED

    assert (states(run), ran) == ({"a": "finished", "b": None}, [])


async def test_a_task_that_finishes_in_spite_of_a_cancellation_has_finished(
    task: Tasks, ran: list[str]
) -> None:
    """The run is cancelled all the same; 1.1.2 did not keep the output, now it is there."""

    @task
    async def insists(event: tukio.Event) -> dict[str, int] | None:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            return {"n": 1}
        return None

    async with tukio.Engine() as engine:
        names = {"a": "insists", "b": "quick"}
        run: Any = await engine.run_once(flow("a b", names=names), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert states(run) == {"a": "finished", "b": None}
    assert execution(run, "a")["outputs"] == {"n": 1}
    assert ran == []


@as_in_1_x
async def test_wait_for_cancels_the_run(ran: list[str]) -> None:
    """As it does with any future."""
    async with loose() as engine:
        run: Any = await engine.run_once(flow("a b", names=slow("a")), {})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run, 1)
        assert run.cancelled()
        assert await run.wait() is CANCELLED

    assert states(run) == {"a": "cancelled", "b": None}
