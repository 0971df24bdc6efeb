"""Suspend and resume, in every state and order: nothing is lost, repeated or left running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, strategies as st

import tukio
from support.flow import flow, kinds, listen
from support.strategies import graphs
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

    from support.flow import Tasks
    from support.strategies import Graph

    Log = list[tuple[float, str]]

FINISHED, CANCELLED = tukio.FutureState.finished, tukio.FutureState.cancelled
TIMEOUT, SUSPENDED = tukio.FutureState.timeout, tukio.FutureState.suspended
EXCEPTION, PENDING = tukio.FutureState.exception, tukio.FutureState.pending


@pytest.fixture
def log(task: Tasks) -> Log:
    """Register `quick` and `slow` (10 s); return what they do, and when."""
    told: Log = []

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        told.append((anyio.current_time(), f"{uid} begins"))
        return {**event.data, uid: 1}

    @task
    async def slow(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        told.append((anyio.current_time(), f"{uid} begins"))
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            told.append((anyio.current_time(), f"{uid} is cut"))
            raise
        told.append((anyio.current_time(), f"{uid} ends"))
        return {**event.data, uid: 1}

    return told


def suspend(run: Any) -> bool:
    """Suspend a run, and fail if nothing is left of it that could be resumed.

    An engine would wait for such a run for ever, and the test with it.
    """
    suspended: bool = run.suspend()
    if suspended and run._run.is_empty():
        run.resume()
        pytest.fail("a run was suspended, and nothing keeps it from being over")
    return suspended


async def pause(run: Any, seconds: float) -> None:
    """Suspend a run for some seconds."""
    assert run.suspend()
    assert run.state is SUSPENDED
    await anyio.sleep(seconds)
    assert run.state is SUSPENDED
    assert run.resume()
    assert run.state is PENDING


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


# Who suspends it ----------------------------------------------------------------------------------


async def test_a_step_that_suspends_its_own_run_and_returns_has_finished(task: Tasks) -> None:
    """Siblings that are due, and its successors, wait for the resume."""
    begun: list[str] = []

    async def note(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    async def suspends(event: tukio.Event) -> dict[str, int]:
        begun.append("b")
        assert tukio.current_workflow().suspend()
        return {"b": 1}

    task(note)
    task(suspends)
    names = dict.fromkeys("acd", "note") | {"b": "suspends"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"a": ["b", "c"], "b": ["d"]}, names=names), {})
        await anyio.sleep(5)
        assert begun == ["a", "b"]
        assert run.outputs["b"] == {"b": 1}
        assert run.resume()
        assert await run.wait() is FINISHED

    assert begun == ["a", "b", "c", "d"]


@pytest.mark.parametrize("resumed", [True, False], ids=["resumes", "is resumed"])
async def test_a_step_that_suspends_its_own_run_is_cut_at_its_next_await(
    task: Tasks, resumed: bool
) -> None:
    """Then it is run again, also if it has resumed the run itself."""
    told: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        told.append("begins")
        if len(told) == 1:
            tukio.current_workflow().suspend()
            if resumed:
                tukio.current_workflow().resume()
            told.append("goes on")
        await anyio.lowlevel.checkpoint()
        told.append("ends")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})
        await settle()
        if not resumed:
            assert told == ["begins", "goes on"]
            run.resume()
        assert await run.wait() is FINISHED

    assert told == ["begins", "goes on", "begins", "ends"]


@pytest.mark.parametrize(
    ("kind", "begins", "ends"),
    [
        ("workflow-begin", [], ["a", "b", "c"]),
        ("task-begin a", ["a"], ["a", "b", "c"]),
        ("task-progress a", ["a"], ["a", "b", "c"]),
        ("task-end a", ["a"], ["b", "c"]),
        ("task-begin b", ["a", "b"], ["b", "c"]),
        ("task-end b", ["a", "b", "c"], ["c"]),
    ],
)
async def test_an_event_handler_may_suspend_the_run(
    task: Tasks, kind: str, begins: list[str], ends: list[str]
) -> None:
    """Whatever the run is about to do then: a step that is over stays so, others are run again."""
    begun: list[str] = []

    async def work(event: tukio.Event) -> None:
        step = tukio.current_task()
        begun.append(step.template.uid)
        await anyio.sleep(1)
        step.dispatch_progress({})
        await anyio.sleep(2 if step.template.uid == "c" else 1)

    task(work)
    told: list[str] = []

    def note(event: tukio.Event) -> None:
        uid = event.source.task_template_id if event.source else None
        told.append(f"{event.data['type']} {uid}" if uid else event.data["type"])
        if told.count(kind) == 1 and told[-1] == kind:
            assert run.suspend()

    async with tukio.Engine() as engine:
        engine.broker.register(note, tukio.EXEC_TOPIC)
        names = dict.fromkeys("abc", "work")
        run: Any = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await anyio.sleep(20)
        assert run.state is SUSPENDED
        assert begun == begins
        begun.clear()
        assert run.resume()
        assert await run.wait() is FINISHED

    assert sorted(begun) == ends
    assert sorted(what for what in told if "task-end" in what) == [
        "task-end a",
        "task-end b",
        "task-end c",
    ]


async def test_handlers_may_answer_a_suspend_by_a_resume_and_a_resume_by_a_suspend(
    log: Log,
) -> None:
    """Each call within another takes effect; in the end the step is run once more."""
    answers: dict[str, Callable[[], bool]] = {
        "workflow-suspend": lambda: run.resume(),  # noqa: PLW0108 - it is not known yet
        "workflow-resume": lambda: run.suspend(),  # noqa: PLW0108
    }

    def answer(event: tukio.Event) -> None:
        given = answers.pop(event.data["type"], None)
        assert given is None or given()

    async with tukio.Engine() as engine:
        engine.broker.register(answer, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        assert run.state is SUSPENDED
        assert answers == {}
        run.resume()
        assert await run.wait() is FINISHED

    assert log == [(0, "a begins"), (1, "a is cut"), (2, "a begins"), (12, "a ends")]


@pytest.mark.parametrize(
    ("cut", "state"),
    [(None, FINISHED), ("cancel", CANCELLED), ("limit", TIMEOUT)],
    ids=["done", "cancelled", "timed out"],
)
async def test_a_step_may_suspend_its_run_in_its_finally(
    task: Tasks, cut: str | None, state: tukio.FutureState
) -> None:
    """It ends as it was about to: done, cancelled or timed out; what follows waits."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        begun.append("a")
        try:
            await anyio.sleep(1 if cut is None else 30)
        finally:
            assert tukio.current_workflow().suspend()
        return {"a": 1}

    @task
    async def b(event: tukio.Event) -> None:
        begun.append("b")

    async with tukio.Engine() as engine:
        limits = {"a": 5} if cut == "limit" else {}
        run: Any = await engine.run_once(flow("a b", limits=limits), {})
        await anyio.sleep(2)
        if cut == "cancel":
            next(iter(run.tasks)).cancel()
        await anyio.sleep(10)
        assert begun == ["a"]
        assert run.state is SUSPENDED
        assert next(iter(run.tasks)).state is state
        run.resume()
        assert await run.wait() is FINISHED

    assert begun == (["a"] if cut == "cancel" else ["a", "b"])


# What a cut step makes of it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "state", "ending"),
    [
        ("returns", FINISHED, FINISHED),
        ("fails", EXCEPTION, FINISHED),
        ("skips", tukio.FutureState.skipped, FINISHED),
        ("aborts", EXCEPTION, EXCEPTION),
    ],
)
async def test_a_cut_step_that_makes_something_of_it_is_over(
    task: Tasks, log: Log, then: str, state: tukio.FutureState, ending: tukio.FutureState
) -> None:
    """It is not run again; what it leads to waits for the resume."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        begun.append("a")
        try:
            await anyio.sleep(10)
        except anyio.get_cancelled_exc_class():
            if then == "skips":
                raise tukio.SkipTask("cut") from None
            if then != "returns":
                raise LookupError("cut") from None
        return {"cut": 1}

    on_error = "abort" if then == "aborts" else "continue"
    async with tukio.Engine() as engine:
        template = flow("a b", names={"b": "quick"}, on_error=on_error)
        run: Any = await engine.run_once(template, {"n": 0})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(1)
        assert next(iter(run.tasks)).state is state
        assert log == []
        assert run.resume() is (then != "aborts")
        assert await run.wait() is ending

    assert begun == ["a"]
    assert list(run.errors) == (["a"] if state is EXCEPTION else [])
    assert log == ([] if state is EXCEPTION else [(2, "b begins")])
    b = run.outputs.get("b")
    assert b == {"returns": {"cut": 1, "b": 1}, "skips": {"n": 0, "b": 1}}.get(then)


@pytest.mark.parametrize(
    ("calls", "instant"),
    [("s", None), ("sr", 6), ("srs", None), ("srsr", 6), ("s---r", 8)],
    ids=["suspended", "resumed", "suspended again", "resumed again", "resumed later"],
)
@pytest.mark.parametrize("sibling", [False, True], ids=["alone", "with a sibling"])
async def test_a_step_that_takes_long_to_unwind_is_run_again_after_that(
    task: Tasks, calls: str, instant: float | None, sibling: bool
) -> None:
    """Never beside itself: a resume that comes too early takes effect when it has unwound."""
    told: list[tuple[float, str]] = []

    @task
    async def careful(event: tukio.Event) -> None:
        told.append((anyio.current_time(), "begins"))
        try:
            await anyio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            told.append((anyio.current_time(), "unwinds"))

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def other(event: tukio.Event) -> None:
        await anyio.sleep(20)

    graph = {"root": ["careful", "other"] if sibling else ["careful"]}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow(graph), {})
        await anyio.sleep(1)
        for call in calls:
            if call != "-":
                assert (run.suspend if call == "s" else run.resume)()
            await anyio.sleep(7 / 4 if "-" in calls else 1)
        await anyio.sleep(100 - anyio.current_time())
        assert told[:2] == [(0, "begins"), (6, "unwinds")]
        assert [at for at, what in told[2:] if what == "begins"] == ([instant] if instant else [])
        if instant is None:
            run.resume()
        assert await run.wait() is FINISHED

    assert [what for _, what in told] == ["begins", "unwinds"] * 2


async def test_a_resume_does_not_wait_for_a_step_that_still_unwinds(task: Tasks, log: Log) -> None:
    """The others are run again at once, beside it."""

    @task
    async def careful(event: tukio.Event) -> None:
        try:
            await anyio.sleep(10)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)

    names = {"a": "quick", "b": "slow"}
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"a": ["careful", "b"]}, names=names), {})
        await anyio.sleep(1)
        await pause(run, 1)
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 6 + 10 + 5

    assert log[1:] == [(0, "b begins"), (1, "b is cut"), (2, "b begins"), (12, "b ends")]


async def test_a_step_that_is_being_cleaned_up_after_is_left_alone(task: Tasks, log: Log) -> None:
    """Its `teardown()` goes on while the run is suspended, and still knows that it timed out."""

    @task
    class a(tukio.TaskHolder):  # noqa: N801
        """Hangs."""

        async def execute(self, event: tukio.Event) -> None:
            """Hang."""
            await anyio.sleep_forever()

        async def teardown(self) -> dict[str, Any]:
            """Take 3 s."""
            await anyio.sleep(3)
            return {"at": anyio.current_time(), "timed out": tukio.current_task().timed_out}

    async with tukio.Engine() as engine:
        template = flow("a b", names={"b": "quick"}, limits={"a": 4})
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(5)
        await pause(run, 5)
        assert await run.wait() is FINISHED

    assert run.outputs["a"] == {"at": 7, "timed out": True}
    assert log == [(10, "b begins")]


async def test_many_quick_steps_do_not_hold_a_suspension_up(task: Tasks) -> None:
    """Steps that never suspend stop where they are, and go on from there."""
    begun: list[str] = []

    @task
    async def quick(event: tukio.Event) -> None:
        begun.append(tukio.current_task().template.uid)

    names = [f"s{number}" for number in range(500)]
    async with tukio.Engine() as engine:
        template = flow({"s0": names[1:]}, names=dict.fromkeys(names, "quick"))
        run: Any = await engine.run_once(template, {})
        while not begun:
            await anyio.lowlevel.checkpoint()
        assert run.suspend()
        count = len(begun)
        await settle()
        assert 0 < len(begun) == count < 500
        assert run.resume()
        assert await run.wait() is FINISHED

    assert begun == names


# What is left of the first execution --------------------------------------------------------------


async def test_the_second_execution_starts_from_scratch(task: Tasks) -> None:
    """Its own id, holder, config, event and choice; `teardown()` is not for suspensions."""
    seen: list[Any] = []

    @task
    class a(tukio.TaskHolder):  # noqa: N801
        """Spoils what it is given."""

        async def execute(self, event: tukio.Event) -> None:
            """Choose a successor only the first time."""
            seen.append((dict(self.config), dict(event.data), event.topic, self.uid))
            self.config["n"] = event.data["n"] = "spoilt"
            if len(seen) == 1:
                tukio.current_workflow().set_next_tasks(["b"])
            await anyio.sleep(10)

        def teardown(self) -> None:
            """Tell that it was called."""
            seen.append("teardown")

    @task
    async def b(event: tukio.Event) -> None:
        seen.append(("b", event.data))

    template = flow({"a": ["b", "c"]}, names={"c": "b"}, topics=["t"])
    template.tasks[0].config = {"n": 1}
    async with tukio.Engine() as engine:
        await engine.load(template)
        (run,) = await engine.data_received({"n": 2}, "t")
        await anyio.sleep(1)
        (first,) = run.tasks
        await pause(run, 1)
        assert await run.wait() is FINISHED

    again = next(iter(run.tasks))
    assert first.uid != again.uid
    assert (first.state, again.state) == (SUSPENDED, FINISHED)
    given = ({"n": 1}, {"n": 2}, "t")
    assert seen == [(*given, first.uid), (*given, again.uid), *[("b", {"n": 2})] * 2]


async def test_the_queue_of_a_suspended_step(task: Tasks) -> None:
    """Late parents are there again, those of the suspension too; events of topics are not."""
    got: list[list[dict[str, Any]]] = []

    async def parent(event: tukio.Event) -> dict[str, str]:
        uid = tukio.current_task().template.uid
        await anyio.sleep({"b": 0, "c": 2, "d": 4}.get(uid, 0))
        return {"from": uid}

    @task
    async def stubborn(event: tukio.Event) -> dict[str, str]:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(6)
        return {"from": "e"}

    @task
    async def reads(event: tukio.Event) -> None:
        got.append([event.data])
        while len(got[-1]) < 5:
            got[-1].append((await tukio.current_task().queue.get()).data)

    task(parent)
    graph = {"a": ["b", "c", "d", "e"], **{uid: ["reads"] for uid in "bcde"}}
    names = dict.fromkeys("abcd", "parent") | {"e": "stubborn"}
    template = flow(graph, names=names)
    template.tasks[5].topics = ["news"]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({"from": "news 1"}, "news")
        await anyio.sleep(4)
        assert run.suspend()
        await engine.data_received({"from": "news 2"}, "news")
        await anyio.sleep(5)
        assert run.resume()
        await anyio.sleep(1)
        await engine.data_received({"from": "news 3"}, "news")
        assert await run.wait() is FINISHED

    assert [[data["from"] for data in read] for read in got] == [
        ["b", "news 1", "c", "d"],
        ["b", "c", "d", "e", "news 3"],
    ]


async def test_a_step_that_reached_its_limit_is_not_run_again_for_a_suspension(
    task: Tasks, log: Log
) -> None:
    """G4: it has timed out, however long it takes to unwind; its successors run when resumed."""

    @task
    class careful(tukio.TaskHolder):  # noqa: N801
        """Takes its time to unwind."""

        async def execute(self, event: tukio.Event) -> None:
            """Take 30 s, or else 5 s to unwind."""
            log.append((anyio.current_time(), "careful begins"))
            try:
                await anyio.sleep(30)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(5)

        def teardown(self) -> dict[str, int]:
            """Give what there is."""
            return {"partial": 1}

    async with tukio.Engine() as engine:
        template = flow("careful b", names={"b": "quick"}, limits={"careful": 4})
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(6)
        await pause(run, 10)
        assert await run.wait() is FINISHED

    assert log == [(0, "careful begins"), (16, "b begins")]
    assert run.outputs == {"careful": {"partial": 1}, "b": {"partial": 1, "b": 1}}


# Limits -------------------------------------------------------------------------------------------


async def test_the_limit_of_a_step_starts_anew_on_resume(log: Log) -> None:
    """It does not run while the run is suspended, and what was used up does not count."""
    async with tukio.Engine() as engine:
        names = {"a": "slow", "b": "quick"}
        run: Any = await engine.run_once(flow("a b", names=names, limits={"a": 5}), {})
        await anyio.sleep(3)
        await pause(run, 50)
        assert await run.wait() is FINISHED

    assert log == [
        *((0, "a begins"), (3, "a is cut")),
        *((53, "a begins"), (58, "a is cut")),
        (58, "b begins"),
    ]
    assert next(iter(run.tasks)).state is TIMEOUT


async def test_the_limit_of_a_run_counts_its_suspensions(log: Log) -> None:
    """Before, in and after them; a step that began anew is cut at the same instant."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}, timeout=12), {})
        await anyio.sleep(3)
        await pause(run, 4)
        assert await run.wait() is TIMEOUT

    assert log == [(0, "a begins"), (3, "a is cut"), (7, "a begins"), (12, "a is cut")]
    assert run.report()["exec"]["elapsed"] == 12


# Any graph, any calls -----------------------------------------------------------------------------

TURNS = {"turn": 1, "turns": 4}


@st.composite
def histories(draw: DrawFn) -> tuple[Graph, dict[str, float], list[Any]]:
    """Draw a graph, how long its tasks take, and what happens to the run: calls and pauses."""
    graph = draw(graphs(rooted=True))
    takes = {uid: draw(st.sampled_from([0, 0, 1, 2.5, 4])) for uid in graph}
    waits = st.sampled_from([0, 0.5, 1, 3]) | st.sampled_from(["turn", "turns"])
    calls = st.sampled_from(["suspend", "suspend", "resume", "resume"])
    return graph, takes, draw(st.lists(calls | waits, max_size=12))


class Steps:
    """Tasks that take their time, and tell if they are at work when they must not be."""

    def __init__(self, graph: Graph, takes: dict[str, float]) -> None:
        self.parents = {uid: [up for up in graph if uid in graph[up]] for uid in graph}
        self.takes = takes
        self.at_work: set[str] = set()
        self.begun = 0
        self.template = flow(graph, names={uid: self.name_of(uid) for uid in graph})
        for one in self.template.tasks:
            if self.name_of(one.uid) == "join":
                one.config = {"wait_for": self.parents[one.uid], "collect": "all"}

    def name_of(self, uid: str) -> str:
        """Return `join` for some tasks with several parents."""
        return "join" if len(self.parents[uid]) > 1 and uid in "abc" else "work"

    async def work(self, event: tukio.Event) -> dict[str, Any]:
        """Return what does not depend on which of several parents comes first."""
        uid = tukio.current_task().template.uid
        assert uid not in self.at_work
        self.begun += 1
        self.at_work.add(uid)
        try:
            if self.takes[uid]:
                await anyio.sleep(self.takes[uid])
        finally:
            self.at_work.remove(uid)
        return {uid: event.data if len(self.parents[uid]) < 2 else 1}

    async def suffer(self, run: Any, calls: list[Any]) -> int:
        """Do to a run what was drawn; return how often it was suspended."""
        count = 0
        for call in calls:
            if call in {"suspend", "resume"}:
                done = suspend(run) if call == "suspend" else run.resume()
                count += done and call == "suspend"
            elif call in TURNS:
                for _ in range(TURNS[call]):
                    await anyio.lowlevel.checkpoint()
            elif run.state is SUSPENDED:
                await self.rest(run, call)
            else:
                await anyio.sleep(call)
        run.resume()
        return count

    async def rest(self, run: Any, seconds: float) -> None:
        """Check that nothing is at work and nothing begins while a run is suspended."""
        await settle()
        begun = self.begun
        assert self.at_work == set()
        await anyio.sleep(seconds)
        await settle()
        assert run.state is SUSPENDED
        assert (self.at_work, self.begun) == (set(), begun)


@given(histories())
async def test_suspensions_change_nothing_but_the_time(
    history: tuple[Graph, dict[str, float], list[Any]],
) -> None:
    """On any graph: each task ends once, with the output of a run that nobody disturbed."""
    graph, takes, calls = history
    steps = Steps(graph, takes)
    tukio.register("work")(steps.work)
    try:
        async with tukio.Engine() as engine:
            plain: Any = await engine.run_once(steps.template, {"n": 1})
            assert await plain.wait() is FINISHED
            story = listen(engine)
            run: Any = await engine.run_once(steps.template, {"n": 1})
            count = await steps.suffer(run, calls)
            with anyio.move_on_after(100):
                await run.wait()
            run.cancel()
    finally:
        tukio.TaskRegistry.all().pop("work")

    assert run.state is FINISHED
    assert run.outputs == plain.outputs
    told = kinds(story)
    assert sorted(what for what in told if "task-end" in what) == [
        f"task-end {uid}" for uid in sorted(graph)
    ]
    assert [told.count(f"task-begin {uid}") <= count + 1 for uid in graph] == [True] * len(graph)
    assert told.count("workflow-suspend") == count
    assert told[0] == "workflow-begin"
    assert [kind for kind in told if kind in ENDINGS] == [told[-1]] == ["workflow-end"]


ENDINGS = {"workflow-end", "workflow-error"}
