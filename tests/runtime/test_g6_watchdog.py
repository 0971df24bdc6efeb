"""G6: a step that is still running a while after it was cancelled is named, with its stack."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio.testing import Timeline
from tukio.watchdog import PATIENCE, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


@pytest.fixture
def stubborn(task: Tasks) -> None:
    """Register tasks that do not stop when they are told to, for a minute or an hour."""

    @task
    async def swallows(event: tukio.Event) -> None:
        over = anyio.current_time() + 60
        while anyio.current_time() < over:
            try:
                await anyio.sleep(1)
            except BaseException:  # noqa: ASYNC103, BLE001 - that is the fault
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1)

    @task
    async def shields(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3600)

    @task
    async def behaves(event: tukio.Event) -> None:
        try:
            await anyio.sleep(3600)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(PATIENCE - 1)


def stuck(timeline: Timeline) -> list[tuple[float, str | None, float]]:
    """Return of each step that was named: when, which, and how long after it was cancelled."""
    return [
        (moment.time, moment.task, moment.content["seconds"])
        for moment in timeline
        if moment.kind == "task-stuck"
    ]


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("name", ["swallows", "shields"])
async def test_g6_a_step_that_goes_on_is_named(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Once, five seconds after it was cancelled, with the place where it is."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        run: Any = await engine.run_once(flow(name), {})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()

    assert stuck(timeline) == [(1 + PATIENCE, name, PATIENCE)]
    (moment,) = (moment for moment in timeline if moment.kind == "task-stuck")
    assert f"in {name}\n    await anyio.sleep(" in moment.content["stack"]
    (record,) = (record for record in caplog.records if record.name == "tukio.watchdog")
    assert record.levelno == logging.WARNING
    assert f"task {name!r} of workflow {run.uid} is still running 5.0 s after" in record.message
    assert moment.content["stack"] in record.message


WAYS: dict[str, Callable[[tukio.Engine, Any], Any]] = {
    "cancelled": lambda engine, run: run.cancel(),
    "suspended": lambda engine, run: run.suspend(),
    "stopped": lambda engine, run: engine.stop(force=True),
    "stopped later": lambda engine, run: engine.stop(grace=0),
    "its task cancelled": lambda engine, run: next(iter(run.tasks)).cancel(),
}


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("way", WAYS)
async def test_g6_whatever_it_was_cancelled_by(way: str) -> None:
    """Also for a suspension."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        run: Any = await engine.run_once(flow("shields"), {})
        await anyio.sleep(1)
        WAYS[way](engine, run)
        await anyio.sleep(PATIENCE)
        run.cancel()

    assert stuck(timeline) == [(1 + PATIENCE, "shields", PATIENCE)]


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("fields", [{"limits": {"shields": 30}}, {"timeout": 30}])
async def test_g6_a_time_limit_that_is_not_kept_is_named(fields: dict[str, Any]) -> None:
    """That of the task, and that of the workflow."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        await engine.run_once(flow("shields", **fields), {})

    assert stuck(timeline) == [(30 + PATIENCE, "shields", PATIENCE)]


@pytest.mark.usefixtures("stubborn")
async def test_g6_it_is_named_while_the_engine_waits_to_be_left() -> None:
    """The engine was cancelled from outside, and its watchdog with it; it watches on."""
    async with tukio.Engine() as listener:
        with anyio.move_on_after(1):
            async with tukio.Engine() as engine:
                timeline = Timeline.of(engine)
                await engine.run_once(flow("shields"), {})
        assert listener.instances == []

    assert stuck(timeline) == [(1 + PATIENCE, "shields", PATIENCE)]


@pytest.mark.usefixtures("stubborn")
async def test_g6_no_step_is_overlooked_for_longer_than_twice_the_patience() -> None:
    """Looks are some seconds apart, however many steps there are."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        runs: list[Any] = [await engine.run_once(flow("shields"), {}) for _ in range(40)]
        for run in runs:
            await anyio.sleep(0.25)
            run.cancel()
        await anyio.sleep(100)

    named = stuck(timeline)
    assert len(named) == len(runs)
    assert all(PATIENCE <= seconds < 2 * PATIENCE for _, _, seconds in named)
    assert len({time for time, _, _ in named}) == 3


@pytest.mark.usefixtures("stubborn")
async def test_g6_a_step_that_takes_its_time_to_clean_up_is_not_named() -> None:
    """It is done within the patience."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("behaves"), {})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()

    assert [kind for kind, _, _ in story] == [
        "workflow-begin",
        "task-begin",
        "task-cancel",
        "workflow-end",
    ]


async def test_g6_steps_that_behave_cost_nothing(
    task: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks after a thousand runs without a cancellation; one look serves all limits."""
    looks: list[float] = []
    look = Watchdog._look

    def counted(watchdog: Watchdog) -> None:
        looks.append(anyio.current_time())
        look(watchdog)

    monkeypatch.setattr(Watchdog, "_look", counted)

    @task
    async def quick(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        for _ in range(1000):
            await engine.run_once(flow("quick", limits={"quick": 10}, timeout=100), {})
    assert looks == []

    async with tukio.Engine() as engine:
        for _ in range(100):
            await anyio.sleep(0.1)
            run: Any = await engine.run_once(flow("quick", limits={"quick": 0.5}), {})
            await anyio.sleep(0.01)
            run.cancel()
            await run.wait()
    assert looks == []
