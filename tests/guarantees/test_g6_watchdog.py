"""G6: a step that is still running a while after it was cancelled is named, with its stack."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from support.turns import counted_turns
from tukio._run.watchdog import PATIENCE, Watchdog
from tukio.testing import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


@pytest.fixture
def stubborn(task: Tasks) -> None:  # noqa: C901 - many, and small
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
    async def returns_late(event: tukio.Event) -> dict[str, int]:
        try:
            await anyio.sleep(3600)
        except BaseException:  # noqa: ASYNC103, BLE001 - that is the fault
            with anyio.CancelScope(shield=True):
                await anyio.sleep(60)
        return {"late": 1}

    @task
    class dawdles(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(3600)

        async def teardown(self) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(60)

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
@pytest.mark.parametrize("name", ["swallows", "shields", "returns_late"])
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
    assert record.stack_info == moment.content["stack"]


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("again", [False, True], ids=["once", "cancelled again"])
async def test_g6_a_clean_up_that_goes_on_past_its_limit_is_named(again: bool) -> None:
    """It is shielded, and has seven seconds; nobody else would say why the run does not end."""
    async with tukio.Engine(cleanup_timeout=7) as engine:
        timeline = Timeline.of(engine)
        run: Any = await engine.run_once(flow("dawdles", limits={"dawdles": 1}), {})
        if again:
            await anyio.sleep(2)
            run.cancel()
        await run.wait()
        assert anyio.current_time() == 1 + 60

    assert stuck(timeline) == [(1 + 7 + PATIENCE, "dawdles", PATIENCE)]
    (moment,) = (moment for moment in timeline if moment.kind == "task-stuck")
    assert "in teardown\n    await anyio.sleep(60)" in moment.content["stack"]


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
async def test_g6_a_time_limit_is_looked_at_in_time_though_another_step_is_stuck() -> None:
    """A look before the limit leads to the one after it, and to none in between."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        await engine.run_once(flow("shields", timeout=10), {})
        other: Any = await engine.run_once(flow("shields"), {})
        await anyio.sleep(1)
        other.cancel()

    assert [(time, seconds) for time, _, seconds in stuck(timeline)] == [
        (1 + PATIENCE, PATIENCE),
        (10 + PATIENCE, PATIENCE),
    ]


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


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of all that a watchdog does: what it is told, and its timers."""
    done: list[str] = []

    def count(name: str) -> None:
        original = getattr(Watchdog, name)

        def counted(watchdog: Watchdog, *args: Any) -> None:
            done.append(name)
            original(watchdog, *args)

        monkeypatch.setattr(Watchdog, name, counted)

    for name in ("watch", "_plan", "_look"):
        count(name)
    return done


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"limits": {"a": 10}}, ["watch", "_plan"] + ["watch"] * 99 + ["_plan"]),
        ({"timeout": 100}, ["watch", "_plan"] + ["watch"] * 99 + ["_plan"]),
    ],
    ids=["no limit", "limits of tasks", "limits of runs"],
)
async def test_g6_a_step_without_a_limit_does_not_cost_a_call(
    task: Tasks, work: list[str], fields: dict[str, Any], expected: list[str]
) -> None:
    """One with a limit costs one, and no timer: that of the first serves for all."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def b(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        for _ in range(100):
            await engine.run_once(flow("a b", **fields), {})
    assert work == expected


# The engine waits; it does not turn


async def is_left(engine: tukio.Engine, run: Any) -> None:
    """Leave the engine: the end of its block waits."""


async def is_cancelled(engine: tukio.Engine, run: Any) -> None:
    """Cancel the run, and wait for it."""
    run.cancel()
    await run.wait()


async def is_stopped(engine: tukio.Engine, run: Any) -> None:
    """Stop the engine, and wait for that."""
    await engine.stop(force=True)


async def is_awaited(engine: tukio.Engine, run: Any) -> None:
    """Wait for the run in a scope that is cancelled."""
    with anyio.move_on_after(1):
        await run
    run.cancel()


async def is_suspended(engine: tukio.Engine, run: Any) -> None:
    """Suspend it, and leave it like that for a while."""
    run.suspend()
    await anyio.sleep(1800)
    run.cancel()


async def fails(engine: tukio.Engine, run: Any) -> None:
    """Leave the engine by an error."""
    raise KeyError


WAITS = [
    (name, end)
    for name in ("shields", "returns_late", "dawdles")
    for end in (is_left, is_cancelled, is_stopped, is_awaited, is_suspended, fails)
    # What is suspended is run again, and not cleaned up after.
    if (name, end) != ("dawdles", is_suspended)
]


@pytest.mark.usefixtures("stubborn")
@pytest.mark.parametrize("cut", [False, True], ids=["", "and cut off from outside"])
@pytest.mark.parametrize(("name", "end"), WAITS)
async def test_g6_the_engine_does_not_spin_while_it_waits(name: str, end: Any, cut: bool) -> None:
    """For an hour, or a minute: the loop turns a few times, not a few times per second."""
    with counted_turns() as turns, anyio.move_on_after(10 if cut else 1e6), suppress(KeyError):
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow(name), {})
            await anyio.sleep(1)
            await end(engine, run)

    assert anyio.current_time() >= 60
    assert turns.count < 30
