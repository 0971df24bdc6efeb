"""G7, and G1: what a step leaves behind stays with it, and whoever left it is named."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.errors import LeftBehind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from support.flow import Tasks

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


def states(run: Any) -> dict[str, str]:
    """Return the state of each task that was reached."""
    return {step.template.uid: step.state.value for step in run.tasks}


@on_asyncio
@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "suspended"])
async def test_g7_an_open_task_group_reaches_no_other_step(task: Tasks, suspends: bool) -> None:
    """Half-read generators are the usual reason; the next step runs on another task."""
    kept: list[Any] = []
    ran_on: list[Any] = []

    async def numbers() -> AsyncGenerator[int, None]:  # noqa: ASYNC900 - that is what is tested
        async with anyio.create_task_group():
            yield 1  # noqa: ASYNC101, ASYNC119 - likewise

    @task
    async def leaky(event: tukio.Event) -> None:
        ran_on.append(asyncio.current_task())
        if suspends:
            await anyio.sleep(1)
        kept.append(numbers())
        await anext(kept[0])

    @task
    async def slow(event: tukio.Event) -> None:
        ran_on.append(asyncio.current_task())
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("leaky slow"), {})
        assert await run.wait() is tukio.FutureState.finished
    assert states(run) == {"leaky": "finished", "slow": "finished"}
    assert set(run.errors) == {"leaky"}
    assert isinstance(run.errors["leaky"], LeftBehind)
    assert run.errors["leaky"].task_id == "leaky"
    assert "task group" in str(run.errors["leaky"])
    assert ran_on[0] is not ran_on[1]
    # In the end the generator is left in another task than it was entered in.
    with pytest.raises(RuntimeError):
        await kept[0].aclose()


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
