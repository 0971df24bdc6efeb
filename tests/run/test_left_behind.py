"""G7, and G1: what a step leaves behind stays with it, and whoever left it is named."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.half_read import close, group_of, half_read, limit_of, within
from tukio.errors import LeftBehind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from support.flow import Tasks

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


def states(run: Any) -> dict[str, str]:
    """Return the state of each task that was reached."""
    return {step.template.uid: step.state.value for step in run.tasks}


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "suspended"])
async def test_g7_an_open_task_group_reaches_no_other_step(task: Tasks, suspends: bool) -> None:
    """Half-read generators are the usual reason; the next step runs on another task.

    What the step has left in the group does not go on without it.
    """
    kept: list[Any] = []
    ran_on: list[Any] = []
    over_at: list[float] = []

    @task
    async def leaky(event: tukio.Event) -> None:
        ran_on.append(anyio.get_current_task().id)
        if suspends:
            await anyio.sleep(1)
        kept.append(await half_read(group_of(over_at)))
        await anyio.lowlevel.checkpoint()

    @task
    async def slow(event: tukio.Event) -> None:
        ran_on.append(anyio.get_current_task().id)
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaky slow"), {})
        assert await run.wait() is tukio.FutureState.finished
    assert states(run) == {"leaky": "finished", "slow": "finished"}
    [(uid, error)] = run.errors.items()
    assert isinstance(error, LeftBehind)
    assert uid == error.task_id == "leaky"
    assert "task group" in str(error)
    assert ran_on[0] != ran_on[1]
    assert over_at == [int(suspends)]
    await close(kept[0])


SCOPES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "scope": anyio.CancelScope,
    "shield": partial(anyio.CancelScope, shield=True),
    "limit": partial(anyio.move_on_after, 1),
    "failing limit": partial(anyio.fail_after, 1),
}


def stop_by_itself(run: Any, step: Any) -> None:
    """Do nothing: the step returns."""


ENDS: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "returns": (stop_by_itself, "finished"),
    "cancelled": (lambda run, step: step.cancel(), "cancelled"),
    "own limit": (lambda run, step: step.timeout(), "timeout"),
}


# As anywhere, nothing cuts what is shielded.
CASES = [(how, end) for how in SCOPES for end in ENDS if end == "returns" or how != "shield"]


@pytest.mark.parametrize(("how", "end"), CASES)
async def test_g7_an_open_scope_reaches_no_other_step(task: Tasks, how: str, end: str) -> None:
    """Whatever the step that has left it open ends by; that end is as it would be."""
    kept: list[Any] = []
    act, state = ENDS[end]

    @task
    async def leaky(event: tukio.Event) -> None:
        kept.append(await half_read(within(SCOPES[how])))
        act(tukio.current_workflow(), tukio.current_task())
        await anyio.sleep(0 if end == "returns" else 100)

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        graph = {"root": ["leaky", "slow2"], "leaky": ["slow"], "slow": [], "slow2": []}
        tree = flow(graph, names={"slow2": "slow"})
        run: Any = await engine.run_once(tree, {})
        assert await run.wait() is tukio.FutureState.finished
        assert anyio.current_time() == 10
    assert states(run)["leaky"] == state
    assert {uid for uid, end in states(run).items() if end != "finished"} <= {"leaky"}
    assert {uid: type(error) for uid, error in run.errors.items()} == {"leaky": LeftBehind}
    await close(kept[0])


async def test_g7_a_step_that_fails_with_a_scope_open_has_failed(task: Tasks) -> None:
    """Its own error is the one that counts."""
    kept: list[Any] = []

    @task
    async def leaky(event: tukio.Event) -> None:
        kept.append(await half_read(limit_of(1)))
        raise ValueError("its own")

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(
            flow({"root": ["leaky", "slow"], "leaky": [], "slow": []}), {}
        )
        await run.wait()
    assert states(run) == {"root": "finished", "leaky": "exception", "slow": "finished"}
    assert anyio.current_time() == 10
    await close(kept[0])


async def test_g3_a_run_with_a_step_that_left_a_scope_open_is_suspended_and_goes_on(
    task: Tasks,
) -> None:
    """The step is run again, on another driver; the scope of the first time is its own."""
    kept: list[Any] = []

    @task
    async def leaky(event: tukio.Event) -> None:
        if not kept:
            kept.append(await half_read(within(anyio.CancelScope)))
        await anyio.sleep(5)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaky"), {})
        await anyio.sleep(1)
        assert run.suspend()
        await anyio.sleep(1)
        assert run.resume()
        assert await run.wait() is tukio.FutureState.finished
        assert anyio.current_time() == 7
    assert states(run) == {"leaky": "finished"}
    await close(kept[0])


@on_asyncio
async def test_g7_a_time_limit_that_was_left_open_cuts_no_other_step(task: Tasks) -> None:
    """Its timer goes off while another step is at work on the same asyncio task."""
    kept: list[Any] = []

    async def chunks() -> AsyncGenerator[int, None]:  # noqa: ASYNC900 - that is what is tested
        async with asyncio.timeout(1):
            yield 1  # noqa: ASYNC101, ASYNC119 - likewise

    @task
    async def peek(event: tukio.Event) -> None:
        kept.append(chunks())
        await anext(kept[0])

    @task
    async def work(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(2)
        return {"worked": 1}

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("peek work work2", names={"work2": "work"}), {})
        assert await run.wait() is tukio.FutureState.finished
    assert set(states(run).values()) == {"finished"}
    assert {uid: type(error) for uid, error in run.errors.items()} == {"peek": LeftBehind}
    await kept[0].aclose()


@on_asyncio
@pytest.mark.parametrize("library", ["aiohttp.client", "anyio_tools", "zlib"])
async def test_g7_a_timer_of_any_library_that_was_left_cuts_no_other_step(
    task: Tasks, library: str
) -> None:
    """Only those of anyio's scopes are known to be asked for by the run."""
    cancel: Any = FunctionType((lambda task: task.cancel()).__code__, {"__name__": library})

    @task
    async def peek(event: tukio.Event) -> None:
        native: Any = asyncio.current_task()
        asyncio.get_running_loop().call_later(1, cancel, native)

    @task
    async def work(event: tukio.Event) -> None:
        await anyio.sleep(2)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("peek work"), {})
        assert await run.wait() is tukio.FutureState.finished
    assert states(run) == {"peek": "finished", "work": "finished"}
    assert {uid: type(error) for uid, error in run.errors.items()} == {"peek": LeftBehind}


@on_asyncio
async def test_g5_a_time_limit_that_was_left_open_cuts_no_clean_up(task: Tasks) -> None:
    """Not even while another step unwinds, which the run has cancelled: its shield holds."""
    kept: list[Any] = []

    @task
    async def peek(event: tukio.Event) -> None:
        kept.append(await half_read(partial(asyncio.timeout, 2)))

    @task
    async def work(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("peek work"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() == 3
    assert states(run) == {"peek": "finished", "work": "cancelled"}
    assert {uid: type(error) for uid, error in run.errors.items()} == {"peek": LeftBehind}
    await close(kept[0])


async def test_g7_a_generator_that_is_closed_leaves_nothing(task: Tasks) -> None:
    """As the error says: then nobody is named, and the driver goes on."""

    async def numbers() -> AsyncGenerator[int, None]:  # noqa: ASYNC900 - that is what is tested
        with anyio.move_on_after(5):
            yield 1  # noqa: ASYNC101, ASYNC119 - likewise

    @task
    async def tidy(event: tukio.Event) -> None:
        async with aclosing(numbers()) as generator:
            await anext(generator)

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("tidy slow"), {})
        assert await run.wait() is tukio.FutureState.finished
    assert run.errors == {}


@on_asyncio
async def test_g3_a_timer_of_a_step_that_is_over_may_cancel_the_run(task: Tasks) -> None:
    """That is no time limit which was left open: whoever asks for it may do so from anywhere."""

    @task
    async def sets(event: tukio.Event) -> None:
        run: Any = tukio.current_workflow()
        asyncio.get_running_loop().call_later(1, run.cancel)

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("sets slow"), {})
        assert await run.wait() is tukio.FutureState.cancelled
        assert anyio.current_time() == 1
    assert states(run) == {"sets": "finished", "slow": "cancelled"}
    assert run.errors == {}


async def test_g9_a_done_callback_sets_no_context_variable_for_other_steps(task: Tasks) -> None:
    """Nor does one step for the next."""
    variable: ContextVar[str] = ContextVar("variable", default="untouched")
    seen: list[str] = []

    @task
    async def sets(event: tukio.Event) -> None:
        variable.set("by a step")
        tukio.current_task().add_done_callback(lambda _: variable.set("by a callback"))
        await anyio.sleep(1)

    @task
    async def looks(event: tukio.Event) -> None:
        seen.append(variable.get())
        await anyio.sleep(1)
        seen.append(variable.get())

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("sets looks"), {})
        await run.wait()
    assert seen == ["untouched", "untouched"]
