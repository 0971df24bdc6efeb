"""What looks from outside whether a loop turns has no place in the order of a seed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.lookouts import LIMIT, hold_for, hurry
from tukio._engine.binding import Binding
from tukio._engine.children import ChildRuns
from tukio._engine.instances import Instances
from tukio.testing.clock import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


async def asked() -> Callable[[Callable[[], object]], None]:
    """Return the function of the backend of the running loop that asks for an answer."""
    binding = Binding(None, None, 1, lambda: None, ChildRuns(Instances()))
    backend: Any = binding._bind(None, structured=True)
    function: Callable[[Callable[[], object]], None] = backend.call_from_outside
    return function


async def test_a_loop_in_virtual_time_answers_in_its_next_turn() -> None:
    """Asked by a thread while it turns."""
    ask = await asked()
    over = threading.Event()
    thread = threading.Thread(target=ask, args=(over.set,))
    thread.start()
    with anyio.fail_after(LIMIT * 10**4):
        while not over.is_set():
            await anyio.sleep(0.001)
            hold_for(0.001)
    thread.join()


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_change_no_order(backend: str, seed: int) -> None:
    """However often a loop is asked."""

    async def program(often: int) -> list[tuple[int, int, float]]:
        story: list[tuple[int, int, float]] = []
        answers: list[int] = []
        ask = await asked()

        async def work(number: int) -> None:
            for turn in range(5):
                for _ in range(often):
                    ask(lambda: answers.append(1))
                await (anyio.lowlevel.checkpoint() if turn % 2 else anyio.sleep(1))
                story.append((number, turn, anyio.current_time()))

        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(work, number)
        await anyio.sleep(1)
        assert len(answers) == 25 * often
        return story

    never, often = (run(program, count, backend=backend, seed=seed) for count in (0, 3))
    assert never == often


def test_a_step_that_is_suspected_all_the_time_changes_no_order(
    backend: str, monkeypatch: pytest.MonkeyPatch, task: Tasks
) -> None:
    """The same seed makes the same order, though a lookout looks."""
    hurry(monkeypatch)

    @task
    async def busy(event: tukio.Event) -> None:
        for _ in range(40):
            hold_for(0.002)
            await anyio.lowlevel.checkpoint()

    async def program() -> list[int]:
        story: list[int] = []

        async def work(number: int) -> None:
            for _ in range(40):
                await anyio.lowlevel.checkpoint()
                story.append(number)

        async with tukio.Engine() as engine, anyio.create_task_group() as group:
            await engine.run_once(flow("busy"), {})
            for number in range(3):
                group.start_soon(work, number)
        return story

    first, second = (run(program, backend=backend, seed=7) for _ in range(2))
    assert first == second
