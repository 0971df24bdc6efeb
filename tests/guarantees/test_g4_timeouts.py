"""G4: time limits are kept, to the instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks

TIMEOUT = tukio.FutureState.timeout


async def test_g4_a_task_past_its_limit_is_cancelled_and_its_successors_get_its_inputs(
    task: Tasks,
) -> None:
    """Without a `teardown()`, the inputs go on."""
    got: list[object] = []

    @task
    async def slow(event: tukio.Event) -> None:
        event.data["touched"] = True
        await anyio.sleep(30)

    @task
    async def after(event: tukio.Event) -> None:
        got.append((anyio.current_time() - start, event.data))

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("slow after", limits={"slow": 10}), {"in": 1})
        assert await run.wait() is tukio.FutureState.finished

    assert got == [(10, {"in": 1})]
    assert ("task-timeout", "slow", {"in": 1}) in story
    assert [step.state.value for step in run.tasks] == ["timeout", "finished"]
    assert run.errors == {}


async def test_g4_what_teardown_returns_goes_on(task: Tasks) -> None:
    """A holder may say what is known so far."""
    got: list[object] = []

    @task
    class Slow(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        def teardown(self) -> dict[str, str]:
            return {"so far": "this"}

    @task
    async def after(event: tukio.Event) -> None:
        got.append(event.data)

    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.run_once(flow("Slow after", limits={"Slow": 10}), {"in": 1})

    assert got == [{"so far": "this"}]
    assert ("task-timeout", "Slow", {"so far": "this"}) in story


async def test_g4_the_run_s_limit_cancels_everything(task: Tasks) -> None:
    """The run ends `timeout`, its steps `cancelled`, and nothing follows."""
    begun: list[str] = []

    @task
    async def root(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def b(event: tukio.Event) -> None:
        begun.append("b")

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        story = listen(engine)
        template = flow({"root": ["a", "a2"], "a": ["b"]}, names={"a2": "a"}, timeout=10)
        run = await engine.run_once(template, {})
        assert await run.wait() is TIMEOUT

    assert anyio.current_time() - start == 10
    assert begun == []
    assert run.timed_out
    assert story[-1] == ("workflow-end", None, {"cancel": True, "timeout": True})
    assert [step.state.value for step in run.tasks] == ["finished", "cancelled", "cancelled"]


@pytest.mark.parametrize(
    ("step", "whole", "caller", "ended_at", "expected"),
    [
        (3, 5, 7, 3, ["timeout", "finished"]),
        (5, 3, 7, 3, ["cancelled"]),
        (5, 7, 3, 3, ["cancelled"]),
        (5, 5, 7, 5, ["cancelled"]),
    ],
)
async def test_g4_nested_limits(
    task: Tasks, step: float, whole: float, caller: float, ended_at: float, expected: list[str]
) -> None:
    """Whichever of the step's, the run's and the caller's limit comes first is the one kept."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def b(event: tukio.Event) -> None:
        pass

    start = anyio.current_time()
    with anyio.move_on_after(caller):
        async with tukio.Engine() as engine:
            run = await engine.run_once(flow("a b", limits={"a": step}, timeout=whole), {})

    assert anyio.current_time() - start == ended_at
    assert [done.state.value for done in run.tasks] == expected


async def test_g4_a_limit_is_for_its_own_step_only(task: Tasks) -> None:
    """The next step on the same host has the limit that is its own."""

    async def seven(event: tukio.Event) -> None:
        await anyio.sleep(7)

    task(seven)
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        names = dict.fromkeys("abcd", "seven")
        template = flow("a b c d", names=names, limits={"a": 10, "c": 5})
        run = await engine.run_once(template, {})

    assert anyio.current_time() - start == 7 + 7 + 5 + 7
    assert [step.state.value for step in run.tasks] == [
        "finished",
        "finished",
        "timeout",
        "finished",
    ]


async def test_g4_a_step_that_returns_when_cut_has_finished(task: Tasks) -> None:
    """It made its choice; what it returned goes on."""
    got: list[object] = []

    @task
    async def clever(event: tukio.Event) -> dict[str, str]:
        try:
            await anyio.sleep(30)
        except anyio.get_cancelled_exc_class():
            return {"partial": "result"}
        return {}

    @task
    async def after(event: tukio.Event) -> None:
        await anyio.sleep(1)
        got.append(event.data)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("clever after", limits={"clever": 3}), {})

    assert got == [{"partial": "result"}]
    assert [step.state.value for step in run.tasks] == ["finished", "finished"]


async def test_g4_a_step_sees_the_limit_it_is_under(task: Tasks) -> None:
    """`current_effective_deadline()` tells a step how long it may take."""
    seen: list[float] = []

    async def look(event: tukio.Event) -> None:
        seen.append(anyio.current_effective_deadline() - anyio.current_time())
        await anyio.sleep(1)

    task(look)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("abc", "look")
        await engine.run_once(flow("a b c", names=names, limits={"b": 5}, timeout=30), {})

    assert seen == [30, 5, 28]


async def test_g4_a_limit_of_zero_or_none_is_no_limit(task: Tasks) -> None:
    """As in 1.x."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(3600)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", limits={"a": 0}, timeout=0), {})
        assert await run.wait() is tukio.FutureState.finished


async def test_g4_the_run_s_limit_counts_steps_that_never_suspend(task: Tasks) -> None:
    """A run whose limit passes between steps starts none after it."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(5)

    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys("abcd", "a")
        run = await engine.run_once(flow("a b c d", names=names, timeout=10), {})
        assert await run.wait() is TIMEOUT

    assert kinds(story)[-1] == "workflow-end"
    assert "task-begin d" not in kinds(story)


async def test_g4_thirty_days_pass_in_no_time(task: Tasks) -> None:
    """Limits are on the clock of the backend."""

    @task
    async def patient(event: tukio.Event) -> None:
        await anyio.sleep_forever()

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("patient", timeout=30 * 86400), {})
        await run.wait()

    assert anyio.current_time() - start == 30 * 86400


async def test_g4_report_times_are_on_the_same_clock(task: Tasks) -> None:
    """What the report says agrees with the limits that were kept."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a", timeout=12), {})
        await run.wait()

    times = run.report()["exec"]
    assert (times["end"] - times["start"]).total_seconds() == pytest.approx(12)


@pytest.mark.parametrize(
    "deeds", ["timeout", "timeout timeout", "timeout suspend", "timeout cancel"]
)
async def test_g4_a_task_may_be_told_that_its_time_is_up(task: Tasks, deeds: str) -> None:
    """What comes next goes on from there, or has its say over it: a cancellation, a suspension."""
    torn: list[bool] = []

    @task
    class Slow(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        def teardown(self) -> dict[str, int]:
            torn.append(tukio.current_task().timed_out)
            return {"so far": 1}

    @task
    async def after(event: tukio.Event) -> dict[str, object]:
        return event.data

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Slow after"), {})
        (step,) = run.tasks
        assert not step.timeout()
        await anyio.sleep(1)
        for deed in deeds.split():
            assert getattr(run if deed == "suspend" else step, deed)()
        await anyio.sleep(1)
        assert not step.timeout()
        assert run.resume() is ("suspend" in deeds)
        assert await run.wait() is tukio.FutureState.finished

    if "cancel" in deeds:
        assert (step.state, run.outputs) == (tukio.FutureState.cancelled, {})
    else:
        assert (step.state, run.outputs["after"]) == (TIMEOUT, {"so far": 1})
    assert torn == ["cancel" not in deeds]
