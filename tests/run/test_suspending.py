"""Suspend and resume, in every state and order: nothing is lost, repeated or left running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.suspensions import pause, suspend
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks
    from support.strategies import Graph
    from support.suspensions import Log

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended


# Orders of calls ----------------------------------------------------------------------------------


async def test_a_step_is_run_again_each_time_and_a_finished_one_never(log: Log) -> None:
    """Each time from scratch, at the instant of the resume."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a b", names={"a": "slow", "b": "slow"}), {"n": 0})
        for _ in range(2):
            await anyio.sleep(4)
            await pause(run, 3)
        await anyio.sleep(11)
        await pause(run, 5)
        assert await run.wait() is FINISHED

    assert log == [
        *((0, "a begins"), (4, "a is cut")),
        *((7, "a begins"), (11, "a is cut")),
        *((14, "a begins"), (24, "a ends")),
        *((24, "b begins"), (25, "b is cut")),
        *((30, "b begins"), (40, "b ends")),
    ]
    assert run.outputs == {"a": {"n": 0, "a": 1}, "b": {"n": 0, "a": 1, "b": 1}}


async def test_a_second_suspend_and_a_second_resume_do_nothing(log: Log) -> None:
    """They say so; no event is sent twice."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        await anyio.sleep(1)
        assert not run.resume()
        assert [run.suspend(), run.suspend()] == [True, False]
        await anyio.sleep(1)
        assert not run.suspend()
        assert [run.resume(), run.resume()] == [True, False]
        await settle()
        assert not run.resume()
        assert await run.wait() is FINISHED

    assert log == [(0, "a begins"), (1, "a is cut"), (2, "a begins"), (12, "a ends")]
    assert kinds(story) == [
        "workflow-begin",
        "task-begin a",
        "workflow-suspend",
        "task-begin a",
        "workflow-resume",
        "task-end a",
        "workflow-end",
    ]


ORDERS = ["sr", "srsr", "srs", "srsrs", "srssrr"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("settled", [False, True], ids=["at work", "suspended before"])
@pytest.mark.parametrize("fan", [False, True], ids=["chain", "fan"])
async def test_what_counts_is_the_last_call_in_an_instant(
    log: Log, order: str, settled: bool, fan: bool
) -> None:
    """Calls within one turn of the loop, on a run at work or a suspended one."""
    graph: Graph = {"a": ["b"]} | ({"a": ["b", "c", "d"], "b": ["e"]} if fan else {})
    names = dict.fromkeys("bcde", "slow") | {"a": "quick"}
    calls = order[1:] if settled else order
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=names), {})
        await anyio.sleep(1)
        if settled:
            run.suspend()
            await anyio.sleep(1)
        for call in calls:
            (run.suspend if call == "s" else run.resume)()
        suspended = calls.endswith("s")
        begun = len(log)
        await anyio.sleep(3)
        assert (run.state is SUSPENDED) is suspended
        at_work = len([what for _, what in log[begun:] if "begins" in what])
        assert at_work == (0 if suspended else len(graph["a"]))
        if suspended:
            assert run.resume()
        assert await run.wait() is FINISHED

    ends = sorted(what for _, what in log if "ends" in what)
    assert ends == [f"{uid} ends" for uid in ("bcde" if fan else "b")]


@pytest.mark.parametrize("seconds", [None, 0, 5], ids=["at once", "a turn", "5 s"])
async def test_a_run_suspended_before_its_first_step(log: Log, seconds: float | None) -> None:
    """It begins when it is resumed."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "quick", "b": "slow"}), {})
        assert run.suspend()
        if seconds is not None:
            await anyio.sleep(seconds)
            await settle()
        assert log == []
        assert run.resume()
        assert await run.wait() is FINISHED

    begun = seconds or 0
    assert log == [(begun, "a begins"), (begun, "b begins"), (begun + 10, "b ends")]
    assert kinds(story)[:3] == ["workflow-begin", "workflow-suspend", "workflow-resume"]
    assert kinds(story).count("workflow-begin") == 1


@pytest.mark.parametrize("seconds", [0, 5])
@pytest.mark.parametrize("turns", range(7))
async def test_a_run_suspended_between_two_steps(log: Log, turns: int, seconds: float) -> None:
    """In whichever turn of the loop after the end of the first, that one is not run again."""
    ended = anyio.Event()

    def note(event: tukio.Event) -> None:
        if event.data["type"] == "task-end":
            ended.set()

    async with tukio.Engine() as engine:
        story = listen(engine)
        engine.broker.register(note, tukio.EXEC_TOPIC)
        names = {"a": "slow", "b": "slow", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {})
        await ended.wait()
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        run.suspend()
        await anyio.sleep(seconds)
        await settle()
        run.resume()
        assert await run.wait() is FINISHED

    assert [what for _, what in log].count("a begins") == 1
    assert [what for what in kinds(story) if "task-end" in what] == [
        "task-end a",
        "task-end b",
        "task-end c",
    ]
    assert log[-2:] == [(20 + seconds, "b ends"), (20 + seconds, "c begins")]


@pytest.mark.parametrize("attempt", range(4))
@pytest.mark.parametrize("turns", range(7))
@pytest.mark.parametrize("graph", ["a", "a b", {"a": ["b", "c"]}], ids=["one", "chain", "fan"])
async def test_a_run_suspended_while_it_comes_to_its_end(
    log: Log, graph: Graph | str, turns: int, attempt: int
) -> None:
    """In whichever turn of the loop: it can be resumed and ends, or it is not suspended.

    Several attempts, as trio runs tasks of the same turn in any order.
    """
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow(graph, names=dict.fromkeys("abc", "quick")), {})
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        suspended = suspend(run)
        await settle()
        assert (run.state is SUSPENDED) is suspended
        assert run.resume() is suspended
        assert await run.wait() is FINISHED

    assert kinds(story)[-1] == "workflow-end"
    assert kinds(story).count("workflow-suspend") == suspended
    assert len(log) == len({what for _, what in log}) == len(run.outputs)


async def test_a_run_that_is_over_or_stopping_is_not_suspended(task: Tasks) -> None:
    """A run that was cancelled is unwinding: it can neither be suspended nor resumed."""

    @task
    async def careful(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("careful"), {})
        await anyio.sleep(1)
        run.cancel()
        await anyio.sleep(1)
        assert [run.suspend(), run.resume()] == [False, False]
        assert await run.wait() is CANCELLED
        assert [run.suspend(), run.resume()] == [False, False]

    expected = ["workflow-begin", "task-begin careful", "task-cancel careful", "workflow-end"]
    assert kinds(story) == expected


# The end of a suspended run -----------------------------------------------------------------------


async def abort(engine: tukio.Engine, _: Any) -> None:
    """Trigger another run of the same template."""
    await engine.trigger("flow", {})


async def limit(_: tukio.Engine, run: Any) -> None:
    """Wait for the limit of the run."""
    await run.wait()


async def cancel(_: tukio.Engine, run: Any) -> None:
    """Cancel the run."""
    run.cancel()


async def time_out(_: tukio.Engine, run: Any) -> None:
    """Cancel the run as if it had reached its limit."""
    run.timeout()


async def force(engine: tukio.Engine, _: Any) -> None:
    """Stop the engine by force."""
    engine.stop(force=True)


async def grace(engine: tukio.Engine, _: Any) -> None:
    """Stop the engine with some grace."""
    engine.stop(grace=7)


@pytest.mark.parametrize(
    ("end", "instant", "state"),
    [
        (cancel, 4, CANCELLED),
        (time_out, 4, TIMEOUT),
        (limit, 20, TIMEOUT),
        (abort, 4, CANCELLED),
        (force, 4, CANCELLED),
        (grace, 11, CANCELLED),
    ],
)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
async def test_a_suspended_run_ends_like_any_other(
    log: Log, end: Any, instant: float, state: tukio.FutureState, begun: bool
) -> None:
    """At once, without starting anything; steps that were put off are cancelled."""
    names = {"a": "quick", "b": "slow", "c": "slow", "d": "quick"}
    template = flow({"a": ["b", "c"], "b": ["d"]}, names=names, policy="abort-running", timeout=20)
    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.load(template)
        run: Any = await engine.trigger("flow", {})
        if begun:
            await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(4 - anyio.current_time())
        before, told = list(log), len(story)
        await end(engine, run)
        assert await run.wait() is state
        assert anyio.current_time() == run._run.ended_at == instant
        assert log == before or end is abort
        engine.stop(force=True)

    cut = ["task-cancel b", "task-cancel c"] if begun else []
    since = kinds(story[told:])[: len(cut) + 1]
    assert [*sorted(since[:-1]), since[-1]] == [*cut, "workflow-end"]
    states = [FINISHED, CANCELLED, CANCELLED] if begun else [CANCELLED]
    assert [step.state for step in run.tasks] == states
    assert not run.resume()


async def test_an_engine_that_is_left_by_an_error_cancels_a_suspended_run(log: Log) -> None:
    """Nobody will resume it."""
    runs: list[Any] = []
    with pytest.raises(LookupError):
        async with tukio.Engine() as engine:
            runs.append(await engine.run_once(flow("a", names={"a": "slow"}), {}))
            await anyio.sleep(1)
            runs[0].suspend()
            raise LookupError

    assert runs[0].state is CANCELLED
    assert log == [(0, "a begins"), (1, "a is cut")]


async def test_an_engine_that_is_left_waits_until_a_suspended_run_is_resumed(log: Log) -> None:
    """Somebody outside may still do so."""

    async def resume_later() -> None:
        await anyio.sleep(100)
        assert run.resume()

    async with anyio.create_task_group() as group:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
            await anyio.sleep(1)
            run.suspend()
            group.start_soon(resume_later)
        assert run.state is FINISHED
        assert anyio.current_time() == 111
