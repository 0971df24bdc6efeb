"""What ends the program in a callback, and is caught by whoever cancels: all is cancelled then."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.ending import HERE, ends_the_program
from support.flow import step_of
from support.silence import silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks

OVER = {"over": "$.list"}
CHILD = {"workflow": {"id": "child", "tasks": [{"id": "only", "name": "nap"}]}}


@pytest.fixture(autouse=True)
def at_work(task: Tasks) -> Iterator[list[Any]]:
    """Register `nap` (5 s), and return a list of the steps that have begun with it."""
    begun: list[Any] = []

    @task
    async def nap(event: tukio.Event) -> None:
        begun.append(tukio.current_task())
        await anyio.sleep(5)

    with silence():
        yield begun


def exits(steps: list[Any]) -> list[str]:
    """Have a callback of each step end the program; return the list that it notes them in."""
    told: list[str] = []

    def over(step: Any) -> None:
        told.append(step.template.uid)
        sys.exit()

    for step in steps:
        step.add_done_callback(over)
    return told


async def suspended(engine: tukio.Engine, **words: Any) -> Any:
    """Start a run of one task, `a`, that is mapped, and suspend it while that is at work."""
    task = {"id": "a", "map": OVER, **words}
    run: Any = await engine.start({"tasks": [task]}, {"list": [1, 2, 3]})
    await anyio.sleep(1)
    run.suspend()
    await anyio.sleep(1)
    return run


async def test_g3_all_children_are_cancelled(at_work: list[Any]) -> None:
    """Though a step of the first one ends the program."""
    async with tukio.Engine() as engine:
        run = await suspended(engine, **CHILD)
        children: list[Any] = [one for one in engine.instances if one is not run]
        told = exits(at_work)
        with pytest.raises(SystemExit):
            run.cancel()
        assert told == ["only"] * 3
        assert all(child.done() for child in children)
        with anyio.move_on_after(1):
            await run.wait()
        assert run.done()


async def test_g2_all_items_are_told_and_then_the_whole(at_work: list[Any]) -> None:
    """Those that were interrupted: they are not run again."""
    ends: list[str | None] = []

    def hear(event: tukio.Event) -> None:
        assert event.source is not None
        if event.data["type"] == "task-cancel":
            ends.append(event.source.task_template_id)

    async with tukio.Engine() as engine:
        engine.broker.register(hear, tukio.EXEC_TOPIC)
        run = await suspended(engine, name="nap")
        told = exits(at_work)
        with pytest.raises(SystemExit):
            run.cancel()
        # In the order in which they have unwound, which is up to the backend.
        assert sorted(told) == ["a[0]", "a[1]", "a[2]"]
        assert ends == [*told, "a"]
        await run.wait()


@pytest.mark.parametrize("backend", HERE)
def test_g3_all_children_of_a_task_are_cancelled(at_work: list[Any], backend: str) -> None:
    """Nobody can catch it there: it ends the program."""
    told: list[list[str]] = []

    async def main() -> None:
        async with tukio.Engine() as engine:
            run = await suspended(engine, **CHILD)
            told.append(exits(at_work))
            step_of(run, "a").cancel()
            await run.wait()

    ends_the_program(main, backend, SystemExit)
    assert told == [["only"] * 3]
