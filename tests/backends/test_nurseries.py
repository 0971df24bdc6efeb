"""On trio, very many hosts are spread over nurseries: none is large, and all end as if in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

import tukio
from support.flow import flow
from tukio._backends.trio import nurseries
from tukio._backends.trio.nurseries import Nurseries
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.backends("trio")

ROOM = 4
RUNS = 30


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few tasks fill a nursery."""
    monkeypatch.setattr(nurseries, "ROOM", ROOM)


def crowds() -> list[int]:
    """Return how many children each nursery has that is open now."""
    found: list[int] = []

    def look(task: trio.lowlevel.Task) -> None:
        for nursery in task.child_nurseries:
            found.append(len(nursery.child_tasks))
            for child in nursery.child_tasks:
                look(child)

    root = trio.lowlevel.current_root_task()
    assert root is not None
    look(root)
    return found


@pytest.fixture
def ended(task: Tasks) -> list[str]:
    """Register `waits`, for as long as its data says; return how each ended."""
    ended: list[str] = []

    @task
    class waits(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await trio.sleep(event.data["seconds"])
            ended.append("executed")

        async def teardown(self) -> None:
            await trio.sleep(1)
            ended.append("torn down")

    return ended


async def start_some(engine: tukio.Engine, seconds: float) -> list[Any]:
    """Start some runs, one in each turn, and have them all at work."""
    runs: list[Any] = []
    for _ in range(RUNS):
        runs.append(await engine.run_once(flow("waits"), {"seconds": seconds}))
        await trio.lowlevel.checkpoint()
    await settle()
    return runs


async def test_no_nursery_gets_large(ended: list[str]) -> None:
    """One is opened after another, and is gone with the last task in it."""
    async with tukio.Engine() as engine:
        nobody = len(crowds())
        runs = await start_some(engine, 5)
        # Some more come while the next is opened; in the first there is who holds the others.
        assert max(crowds()) <= 2 * ROOM + RUNS // ROOM
        assert len(crowds()) >= nobody + RUNS // (2 * ROOM)
        await trio.sleep(6)
        assert ended == ["executed"] * RUNS
        # The latest is still open.
        assert len(crowds()) == nobody + 1

    assert {run.state for run in runs} == {tukio.FutureState.finished}


@pytest.mark.parametrize("how", ["outside", "stop"])
async def test_g3_a_cancellation_reaches_the_runs_in_all_nurseries(
    ended: list[str], how: str
) -> None:
    """And the clean-ups are whole."""
    runs: list[Any] = []
    with trio.move_on_after(2):
        async with tukio.Engine() as engine:
            runs = await start_some(engine, 60)
            if how == "stop":
                engine.stop(force=True)
            await trio.sleep(1)

    assert {run.state for run in runs} == {tukio.FutureState.cancelled}
    assert ended == ["torn down"] * RUNS


async def test_one_that_is_due_when_all_ends_is_not_opened() -> None:
    """It would stay open for ever."""
    async with trio.open_nursery() as root:
        several = Nurseries(root)
        for _ in range(ROOM):
            several.start_soon(trio.sleep, 1, name="sleeps")
        several.close()

    assert trio.current_time() == 1


async def test_what_is_started_while_all_is_cancelled_has_a_place() -> None:
    """The latest nursery may have ended, if nothing was left in it."""
    story: list[str] = []

    async def note() -> None:
        story.append("started")

    async def start_late() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
            several.start_soon(note, name="late")

    async with trio.open_nursery() as root:
        several = Nurseries(root)
        for _ in range(ROOM):
            several.start_soon(trio.sleep, 0, name="sleeps")
        await settle()
        root.start_soon(start_late)
        await settle()
        root.cancel_scope.cancel()

    assert story == ["started"]
