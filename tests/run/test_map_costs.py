"""What an item of a mapped task costs, counted: as any other one, and little more than a step.

Operations are calls that `sys.setprofile` sees, in Python and in C.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

import tukio

if TYPE_CHECKING:
    from support.flow import Tasks

ROOT = str(Path(tukio.__file__).parent)
FEW = 100


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register a task that suspends once, and one that fails."""

    @task
    async def pause(event: tukio.Event) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        return {"n": 1}

    @task
    async def fails(event: tukio.Event) -> None:
        raise ValueError


def mapped(name: str, **words: Any) -> dict[str, Any]:
    """Return a workflow of one mapped task."""
    return {"id": "x", "tasks": [{"id": "a", "name": name, "map": {"over": "$.list", **words}}]}


def fan_out(size: int) -> dict[str, Any]:
    """Return a task with so many successors."""
    ids = [f"t{number}" for number in range(size)]
    tasks = [{"id": uid, "name": "pause"} for uid in ("root", *ids)]
    return {"id": "x", "tasks": tasks, "graph": {"root": ids}}


async def calls(template: dict[str, Any], size: int, *, suspended: bool = False) -> int:
    """Return how many calls a run makes, in its package."""
    count = 0

    def hear(frame: Any, what: str, _: object) -> None:
        nonlocal count
        if what in {"call", "c_call"} and frame.f_code.co_filename.startswith(ROOT):
            count += 1

    async with tukio.Engine() as engine:
        made = await engine.load(tukio.WorkflowTemplate.from_dict(template))
        for _ in range(2):
            count = 0
            gc.disable()
            sys.setprofile(hear)
            try:
                run = await engine.start("x", {"list": [{"n": 0}] * size})
                if suspended:
                    await anyio.lowlevel.checkpoint()
                    run.suspend()
                    await anyio.lowlevel.checkpoint()
                    run.resume()
                await run.wait()
            finally:
                sys.setprofile(None)
                gc.enable()
        del made
    return count


@pytest.mark.parametrize("words", [{}, {"limit": 7}], ids=str)
async def test_each_item_costs_the_same_and_little_more_than_a_step(words: dict[str, Any]) -> None:
    """Of few, and of a hundred times as many."""
    few, more = [await calls(mapped("pause", **words), n) for n in (FEW, 2 * FEW)]
    many, most = [await calls(mapped("pause", **words), n) for n in (20 * FEW, 21 * FEW)]
    each = (more - few) / FEW
    assert (most - many) / FEW <= 1.02 * each
    steps = [await calls(fan_out(n), n) for n in (FEW, 2 * FEW)]
    assert each <= 1.3 * (steps[1] - steps[0]) / FEW


@pytest.mark.parametrize("words", [{"tolerate": "all"}, {"tolerate": "50%", "limit": 3}], ids=str)
async def test_failures_cost_the_same_each(words: dict[str, Any]) -> None:
    """However many there were before: each is kept beside the others, and not around them."""
    few, more, most = [await calls(mapped("fails", **words), n * FEW) for n in (1, 2, 3)]
    assert most - more <= 1.1 * (more - few)


async def test_items_that_are_cut_cost_the_same_each() -> None:
    """Thousands that are due, and those at work, are let go of in one look."""
    # How many have begun by then is chance on trio; the square would take four times.
    few = max([await calls(mapped("pause"), FEW, suspended=True) for _ in range(3)])
    more = min([await calls(mapped("pause"), 2 * FEW, suspended=True) for _ in range(3)])
    assert more <= 2.8 * few
