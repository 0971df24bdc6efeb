"""A run that waits is data: no task, no timer of its own, and it answers at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.counting import tasks_alive, timers_alive
from support.flow import flow, kinds, listen, step_of
from support.silence import silence
from support.suspensions import suspended
from tukio._run.watchdog import PATIENCE
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.usefixtures("naps")

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended

FAR = 1e7
"""Seconds that nobody would wait for an engine."""


# Answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "ending"),
    [("cancel", CANCELLED), ("timeout", TIMEOUT), ("stop", CANCELLED)],
)
async def test_a_run_with_nothing_to_unwind_is_over_when_its_end_is_asked_for(
    how: str, ending: tukio.FutureState
) -> None:
    """Subscribers were told, in order, and waiters are, before the call returns (G2)."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        (run,) = await suspended(engine, 1)
        step = step_of(run, "nap")
        told = len(story)
        if how == "stop":
            engine.stop(force=True)
        else:
            getattr(run, how)()
        assert run.state is ending
        assert run.done()
        assert kinds(story)[told:] == ["task-cancel nap", "workflow-end"]
        assert (step.state, step.done()) == (CANCELLED, True)
        assert engine.instances == []
        assert await run.wait() is ending


async def test_cancelling_while_a_step_unwinds_waits_for_that_one_alone() -> None:
    """The others have unwound: their end is told at once, and the end of the run last."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow({"quick": ["nap", "shields"]}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        told = len(story)
        run.cancel()
        assert kinds(story)[told:] == ["task-cancel nap"]
        assert run.state is tukio.FutureState.pending
        assert await run.wait() is CANCELLED
        assert anyio.current_time() == 5
        assert kinds(story)[told + 1 :] == ["task-cancel shields", "workflow-end"]


async def test_the_limit_passes_while_one_step_is_put_off_and_another_unwinds() -> None:
    """Nobody is at work whose scope would notice: the alarm does, at the exact instant."""
    ends: list[tuple[float, str]] = []

    def note(event: tukio.Event) -> None:
        source = event.source
        assert source
        ends.append((anyio.current_time(), f"{event.data['type']} {source.task_template_id or ''}"))

    async with tukio.Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow({"quick": ["nap", "shields"]}, timeout=3), {})
        await anyio.sleep(1)
        run.suspend()
        assert await run.wait() is TIMEOUT
    assert ends[-3:] == [(3, "task-cancel nap"), (5, "task-cancel shields"), (5, "workflow-end ")]


async def test_what_counts_is_the_last_word_in_one_turn() -> None:
    """Suspended, resumed and suspended again before anything could unwind: it is suspended."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("nap", timeout=100), {})
        await anyio.sleep(1)
        assert [run.suspend(), run.resume(), run.suspend()] == [True, True, True]
        tasks = tasks_alive()
        await anyio.sleep(20)
        assert run.state is SUSPENDED
        assert len(tasks_alive()) == len(tasks) - 1
        assert kinds(story)[2:] == ["workflow-suspend", "workflow-resume", "workflow-suspend"]
        # Once more, from where nothing unwinds.
        assert [run.resume(), run.suspend(), run.resume()] == [True, True, True]
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 26
    assert kinds(story).count("task-begin nap") == 2


async def test_a_run_suspended_as_its_last_step_ended_is_over_when_it_is_resumed() -> None:
    """Nothing is left to be run; its end is told before `resume()` returns."""
    async with tukio.Engine() as engine:
        runs: list[Any] = []

        def suspend(event: tukio.Event) -> None:
            if event.data["type"] == "task-end":
                assert runs[0].suspend()

        engine.broker.register(suspend, tukio.EXEC_TOPIC)
        story = listen(engine)
        runs.append(await engine.run_once(flow("quick", timeout=100), {}))
        (run,) = runs
        await anyio.sleep(50)
        assert run.state is SUSPENDED
        assert run.resume()
        assert run.state is FINISHED
        assert kinds(story)[-3:] == ["workflow-suspend", "workflow-resume", "workflow-end"]
    assert anyio.current_time() == 50


@pytest.mark.parametrize("early", [False, True], ids=["at work", "before it begins"])
@pytest.mark.parametrize(("act", "ending"), [("resume", FINISHED), ("cancel", CANCELLED)])
async def test_a_handler_of_the_suspension_undoes_it_or_ends_the_run(
    act: str, ending: tukio.FutureState, early: bool
) -> None:
    """It is told in the midst of `suspend()`: all of that must be true by then."""
    async with tukio.Engine() as engine:
        runs: list[Any] = []

        def handler(event: tukio.Event) -> None:
            if event.data["type"] == "workflow-suspend":
                assert runs[0].state is SUSPENDED
                assert getattr(runs[0], act)()

        engine.broker.register(handler, tukio.EXEC_TOPIC)
        story = listen(engine)
        runs.append(await engine.run_once(flow("nap"), {}))
        (run,) = runs
        await anyio.sleep(0 if early else 1)
        if not early:
            await settle()
        assert run.suspend()
        assert run.state is not SUSPENDED
        assert await run.wait() is ending
    assert kinds(story).count(kinds(story)[-1]) == 1
    assert kinds(story)[-1] == "workflow-end"
    assert run._run.waiting is None


# The time at which an engine is left --------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "resume", "limit of a step", "force", "grace"])
async def test_an_engine_is_left_at_once_although_a_limit_was_far_away(how: str) -> None:
    """The timer of an alarm that was called off must not hold it: on trio that is a task.

    Virtual time jumps, so only the clock tells.
    """
    async with tukio.Engine() as engine:
        (run,) = await suspended(engine, 1, timeout=FAR)
        if how == "cancel":
            run.cancel()
        elif how == "force":
            engine.stop(force=True)
        elif how == "grace":
            engine.stop(grace=3)
        else:
            run.resume()
            if how == "limit of a step":
                await settle()
                step_of(run, "nap").timeout()
    took = {"resume": 5, "grace": 3}.get(how, 0)
    assert anyio.current_time() == 1 + took


async def test_an_engine_is_left_at_once_by_an_error_with_runs_suspended() -> None:
    """The timer is shielded from the cancellation of all around it, and must end by itself."""
    with pytest.raises(KeyError):
        async with tukio.Engine() as engine:
            (run,) = await suspended(engine, 1, timeout=FAR)
            raise KeyError(1)
    assert run.state is CANCELLED
    assert anyio.current_time() == 1


async def test_an_engine_that_is_cancelled_cancels_the_runs_that_wait() -> None:
    """They have no task that the cancellation could reach."""
    with anyio.move_on_after(4):
        async with tukio.Engine() as engine:
            runs = await suspended(engine, 3, timeout=FAR)
    assert {run.state for run in runs} == {CANCELLED}
    assert anyio.current_time() == 4


@pytest.mark.backends("asyncio", "uvloop")
async def test_two_engines_on_a_loop_share_a_timer() -> None:
    """Alarms are the loop's; leaving one engine leaves those of the other."""
    idle = timers_alive()
    async with tukio.Engine() as outer:
        async with tukio.Engine() as inner:
            (first,) = await suspended(outer, 1, timeout=100)
            (second,) = await suspended(inner, 1, timeout=50)
            assert timers_alive() == idle + 1
            assert await second.wait() is TIMEOUT
            assert anyio.current_time() == 1 + 50
        assert timers_alive() == idle + 1
        assert await first.wait() is TIMEOUT
        assert anyio.current_time() == 100
    assert timers_alive() == idle


# Waiting for others to end ------------------------------------------------------------------------


async def replaced(engine: tukio.Engine, **fields: Any) -> list[Any]:
    """Start a run that takes four seconds to unwind, and one that waits to take its place."""
    await engine.load(flow("shields", policy="abort-running", **fields))
    runs: list[Any] = [await engine.trigger("flow", {"n": 1})]
    await anyio.sleep(1)
    return [*runs, await engine.trigger("flow", {"n": 2})]


async def test_a_run_that_waits_for_others_has_no_task() -> None:
    """Nor a timer; and it may be cancelled before it has started."""
    async with tukio.Engine() as engine:
        runs = await replaced(engine)
        await settle()
        tasks = tasks_alive()
        for _ in range(3):
            runs.append(await engine.trigger("flow", {}))
            assert runs[-2].state is CANCELLED
        await settle()
        assert tasks_alive() == tasks
        runs[-1].cancel()
        assert runs[-1].state is CANCELLED
        assert engine.instances == [runs[0]]
    assert anyio.current_time() == 5


async def test_a_run_that_waits_for_others_keeps_the_grace_of_a_stop() -> None:
    """At the exact instant, although those others take longer."""
    async with tukio.Engine() as engine:
        first, second = await replaced(engine)
        engine.stop(grace=2)
        await second.wait()
        assert second.state is CANCELLED
        assert anyio.current_time() == 3
        assert second.report()["exec"]["start"] is None
        await first.wait()
        assert anyio.current_time() == 5


@pytest.mark.parametrize("grace", [6, 90])
async def test_the_grace_goes_on_when_the_wait_is_over(grace: float) -> None:
    """What has started meanwhile is cut when the grace ends, or at its own limit before."""
    async with tukio.Engine() as engine:
        first, second = await replaced(engine, timeout=20)
        engine.stop(grace=grace)
        await second.wait()
        assert first.state is CANCELLED
        begun = 5
        assert second.state is (CANCELLED if grace < 20 else TIMEOUT)
        cut = min(1 + grace, begun + 20)
        assert anyio.current_time() == cut + 4
        assert step_of(second, "shields").started_at == begun


# The watchdog -------------------------------------------------------------------------------------


@pytest.fixture
def swallower(task: Tasks) -> None:
    """Register a task that goes on for a minute, whatever happens."""

    @task
    async def swallows(event: tukio.Event) -> None:
        ends = anyio.current_time() + 60
        while anyio.current_time() < ends:
            try:
                await anyio.sleep(1)
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.5)


def stuck(engine: tukio.Engine) -> list[tuple[float, str]]:
    """Return a list that gets who is named as stuck, and when."""
    named: list[tuple[float, str]] = []

    def note(event: tukio.Event) -> None:
        if event.data["type"] == "task-stuck":
            assert event.source
            named.append((anyio.current_time(), str(event.source.workflow_template_id)))

    engine.broker.register(note, tukio.EXEC_TOPIC)
    return named


@pytest.mark.usefixtures("swallower")
async def test_a_step_stuck_at_the_limit_of_its_run_is_named_after_a_resume() -> None:
    """While the run was suspended, the watchdog had nobody to look at (G6)."""
    with silence():
        async with tukio.Engine() as engine:
            named = stuck(engine)
            template = flow("nap swallows", timeout=40, id="resumed")
            run: Any = await engine.run_once(template, {})
            await anyio.sleep(1)
            run.suspend()
            # Another run makes the watchdog look meanwhile.
            await engine.run_once(flow("nap", timeout=4, id="other"), {})
            await anyio.sleep(20)
            run.resume()
    assert len(named) == 1
    assert named[0][1] == "resumed"
    assert 40 + PATIENCE <= named[0][0] <= 40 + 2 * PATIENCE


@pytest.mark.usefixtures("swallower")
async def test_a_step_stuck_at_the_end_of_the_grace_is_named_in_a_run_that_had_waited() -> None:
    """The watchdog looked once while the run waited for others, and found nobody in it (G6)."""
    with silence():
        async with tukio.Engine() as engine:
            named = stuck(engine)
            await engine.load(flow("shields", policy="abort-running"))
            await engine.trigger("flow", {"unwinds": 7})
            await anyio.sleep(1)
            await engine.load(flow("swallows", policy="abort-running"))
            await engine.trigger("flow", {})
            engine.stop(grace=30)
    (_, first), (late, second) = named
    assert (first, second) == ("flow", "flow")
    assert named[0][0] == 1 + PATIENCE
    assert 31 + PATIENCE <= late <= 31 + 2 * PATIENCE


@pytest.mark.usefixtures("swallower")
async def test_a_step_stuck_at_its_limit_is_named_if_its_run_began_as_the_watchdog_looked() -> None:
    """It had no driver yet, and the look found nobody in it (G6)."""
    with silence():
        async with tukio.Engine() as engine:
            named = stuck(engine)
            runs: list[Any] = []

            def start() -> None:
                run = engine._binding.new_workflow(flow("swallows", timeout=20))
                engine._instances.launch(run._run, lambda: run._run.start(tukio.Event({})))
                runs.append(run)

            # At the instant of the look, and before it.
            engine._binding.backend.alarms.at(1 + PATIENCE, start)
            cut: Any = await engine.run_once(flow("shields", id="other"), {"unwinds": 7})
            await anyio.sleep(1)
            cut.cancel()
            await anyio.sleep(10)
            assert step_of(runs[0], "swallows").started_at == 1 + PATIENCE
    (late,) = [instant for instant, uid in named if uid == "flow"]
    assert 26 + PATIENCE <= late <= 26 + 2 * PATIENCE


# Handlers that fail -------------------------------------------------------------------------------


async def test_handlers_that_fail_change_nothing_of_a_wait() -> None:
    """At every event of a suspension, a resume and a limit that an alarm keeps."""
    stories: list[Counter[str]] = []
    for fails in (False, True):
        with silence():
            async with tukio.Engine() as engine:

                def fail(event: tukio.Event) -> None:
                    raise RuntimeError

                if fails:
                    engine.broker.register(fail, tukio.EXEC_TOPIC)
                story = listen(engine)
                (run,) = await suspended(engine, 1, timeout=20)
                run.resume()
                await anyio.sleep(1)
                run.suspend()
                assert await run.wait() is TIMEOUT
                stories.append(Counter(kinds(story)))
    assert stories[0] == stories[1]
    assert stories[0]["task-cancel nap"] == stories[0]["workflow-end"] == 1
