"""G4: limits count from the clock, not from a timer, on all backends alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow

if TYPE_CHECKING:
    from support.flow import Tasks


class Clock:
    """The clock of an engine, which a step can move on, as one does that blocks its loop."""

    def __init__(self) -> None:
        self.late = 0.0

    def move(self, engine: tukio.Engine) -> None:
        """Take the place of the clock of an engine that has just been entered."""
        backend: Any = engine._binding.backend
        time = backend.time
        backend.time = lambda: time() + self.late

    def block(self, seconds: float) -> None:
        """Let time pass, and nothing happen."""
        self.late += seconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock to be moved."""
    return Clock()


class Late(Exception):
    """What the step raises, too late."""


@pytest.mark.parametrize("how", ["returns", "raises", "skips", "fails with an output"])
@pytest.mark.parametrize("waits", [False, True], ids=["never suspends", "has suspended"])
@pytest.mark.parametrize("key", ["timeout", "idle_timeout"])
async def test_g4_a_step_that_blocks_past_its_limit_has_timed_out(
    task: Tasks, clock: Clock, how: str, waits: bool, key: str
) -> None:
    """Whatever it did: its teardown runs, its successors get what that returned."""
    torn_down: list[bool] = []

    @task
    class blocks(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            if waits:
                await anyio.sleep(1)
            clock.block(5)
            if how == "raises":
                raise Late
            if how == "skips":
                raise tukio.SkipTask
            if how == "fails with an output":
                raise tukio.TukioTaskError({"n": 1})
            return {"never": "seen"}

        def teardown(self) -> dict[str, Any]:
            torn_down.append(tukio.current_task().timed_out)
            return {"torn": "down"}

    @task
    async def after(event: tukio.Event) -> dict[str, Any]:
        return event.data

    async with tukio.Engine() as engine:
        clock.move(engine)
        template = flow("blocks after")
        setattr(template.tasks[0], key, 3)
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is tukio.FutureState.finished
        report = run.report()
    one, two = (found["exec"] for found in report["tasks"])
    assert (one["state"], two["state"]) == ("timeout", "finished")
    assert one["outputs"] == two["inputs"] == {"torn": "down"}
    assert one["overran"] == pytest.approx(3 if waits else 2)
    assert torn_down == [True]
    kinds = {"raises": Late, "skips": tukio.SkipTask, "fails with an output": tukio.TukioTaskError}
    assert [type(error) for error in run.errors.values()] == ([kinds[how]] if how in kinds else [])


@pytest.mark.parametrize("key", ["timeout", "idle_timeout"])
async def test_g4_a_step_that_unwinds_past_its_limit_has_timed_out(task: Tasks, key: str) -> None:
    """It was cut in time, and took longer to say what became of it."""

    @task
    async def stubborn(event: tukio.Event) -> dict[str, Any]:
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
        return {"too": "late"}

    async with tukio.Engine() as engine:
        template = flow("stubborn")
        setattr(template.tasks[0], key, 3)
        run: Any = await engine.run_once(template, {"n": 1})
        await run.wait()
    [step] = run.tasks
    assert (step.state.value, step.outputs) == ("timeout", {"n": 1})
    assert run.report()["tasks"][0]["exec"]["overran"] == 1


async def test_g4_a_step_that_ends_at_its_very_limit_is_in_time(task: Tasks, clock: Clock) -> None:
    """The limit is what it may take."""

    @task
    async def exact(event: tukio.Event) -> dict[str, Any]:
        clock.block(3)
        return {"in": "time"}

    async with tukio.Engine() as engine:
        clock.move(engine)
        run: Any = await engine.run_once(flow("exact", limits={"exact": 3}), {})
        await run.wait()
    [step] = run.tasks
    assert (step.state.value, step.outputs) == ("finished", {"in": "time"})
    assert "overran" not in run.report()["tasks"][0]["exec"]


@pytest.mark.parametrize("grace", [False, True], ids=["limit", "grace"])
async def test_g4_nothing_begins_after_the_end_of_a_run_among_steps_that_never_wait(
    task: Tasks, clock: Clock, grace: bool
) -> None:
    """No timer of the loop can go off meanwhile: the clock is looked at before each."""
    begun: list[str] = []

    @task
    async def step(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)
        clock.block(1)

    names = [f"t{number}" for number in range(8)]
    async with tukio.Engine() as engine:
        clock.move(engine)
        template = flow(
            " ".join(names), names=dict.fromkeys(names, "step"), timeout=None if grace else 3
        )
        run: Any = await engine.run_once(template, {})
        if grace:
            engine.stop(3)
        ending = await run.wait()
    assert begun == names[:3]
    assert ending.value == ("cancelled" if grace else "timeout")


@pytest.mark.parametrize("kind", ["task-begin", "task-end", "callback"])
async def test_g4_nothing_begins_after_the_end_of_a_run_whoever_takes_the_time(
    task: Tasks, clock: Clock, kind: str
) -> None:
    """Handlers and callbacks may block, too."""

    @task
    async def quick(event: tukio.Event) -> None:
        if kind == "callback":
            tukio.current_task().add_done_callback(lambda _: clock.block(1))

    begun: list[Any] = []

    def handler(event: tukio.Event) -> None:
        if event.data["type"] == "task-begin":
            begun.append(event.source and event.source.task_template_id)
        if event.data["type"] == kind:
            clock.block(1)

    names = [f"t{number}" for number in range(8)]
    async with tukio.Engine() as engine:
        clock.move(engine)
        if kind != "callback":
            engine.broker.register(handler, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(
            flow(" ".join(names), names=dict.fromkeys(names, "quick"), timeout=3), {}
        )
        assert await run.wait() is tukio.FutureState.timeout
    assert [step.started_at is not None for step in run.tasks] == [True] * 3 + [False]
    assert begun in ([], names[:3])
