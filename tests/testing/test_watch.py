"""The checks of the guarantees notice what is wrong: each is shown something that is."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow
from tukio._run.task_run import TaskRun
from tukio._run.undoing import what_undoes
from tukio.testing import BrokenGuarantee, Timeline, check_guarantees
from tukio.testing.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    Lie = Callable[[tukio.Workflow, TaskRun], object]


@pytest.fixture(autouse=True)
def tasks(task: Tasks) -> None:
    """Register a task that takes a second, and one that fails."""

    @task
    async def nap(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {"n": 1}

    @task
    async def fails(event: tukio.Event) -> None:
        raise KeyError("boom")


def tell(run: tukio.Workflow, kind: str, step: TaskRun | None = None, content: Any = None) -> None:
    """Say of a run, or of one of its tasks, what is not so."""
    run._run.emit(kind, content, step)


def another(run: tukio.Workflow, number: int) -> TaskRun:
    """Put a further execution into a run, that nothing has led to."""
    plan = run._run.plan
    step = TaskRun(run._run, number, plan.shape.tasks[number], {"in": 0}, None)
    step.started_at = run._run.backend.time()
    plan.steps[number] = step
    return step


def begin(run: tukio.Workflow, number: int) -> TaskRun:
    """Tell the begin of such an execution, and return it."""
    step = another(run, number)
    tell(run, "task-begin", step, step.inputs)
    return step


def begin_suspended(run: tukio.Workflow, _: TaskRun) -> None:
    """Begin something in a run that is suspended."""
    run.suspend()
    begin(run, 1)


def begin_stopping(run: tukio.Workflow, _: TaskRun) -> None:
    """Begin something in a run that stops."""
    run.cancel()
    begin(run, 1)


def leave_ready(run: tukio.Workflow, _: TaskRun) -> None:
    """Leave something to be done in a run that stops."""
    run.cancel()
    run._run.plan.ready.append(another(run, 1))
    tell(run, "any")


def end(
    run: tukio.Workflow, step: TaskRun, state: tukio.FutureState, kind: str, *, late: float = 0
) -> None:
    """End an execution behind the back of its run."""
    before = step.state, step.ended_at
    step.state, step.ended_at = state, run._run.backend.time() + late
    tell(run, kind, step, step.outputs)
    step.state, step.ended_at = before


def after_its_limit(run: tukio.Workflow, step: TaskRun) -> None:
    """Let the limit of a run have passed without anybody noticing."""
    deadline, run._run.deadline = run._run.deadline, run._run.backend.time() - 1
    tell(run, "any")
    run._run.deadline = deadline


def after_its_time(run: tukio.Workflow, step: TaskRun) -> None:
    """Let the time for all attempts at a task have passed without anybody noticing."""
    object.__setattr__(step.template, "_retry", {"within": 0.25})
    tell(run, "any")


def before_its_items(run: tukio.Workflow, step: TaskRun) -> None:
    """Tell the end of a task while an item of it is at work."""
    items: Any = SimpleNamespace(steps=lambda: [step])
    step.extras.items = items
    tell(run, "task-end", step)
    step.extras.items = None


STATE = tukio.FutureState
LIES: dict[str, tuple[str, Lie]] = {
    "a task began twice": ("G2", lambda run, a: tell(run, "task-begin", a, a.inputs)),
    "a task ended before its items": ("G1", before_its_items),
    "a task that is at work has ended": ("G2", lambda run, a: tell(run, "task-end", a)),
    "the run is over, and a task at work": ("G1", lambda run, a: tell(run, "workflow-end")),
    "a task ended that is not of the run": (
        "G2",
        lambda run, a: tell(run, "task-end", TaskRun(run._run, 1, a.template, {}, None)),
    ),
    "a task began that is not of the run": (
        "G2",
        lambda run, a: tell(run, "task-begin", TaskRun(run._run, 1, a.template, {}, None)),
    ),
    "a task began that nothing led to": ("G8", lambda run, a: begin(run, 1)),
    "a task began again": ("G11", lambda run, a: begin(run, 0)),
    "a task began in a suspended run": ("G3", begin_suspended),
    "a task began in a run that stops": ("G3", begin_stopping),
    "a run that stops has something to do": ("G3", leave_ready),
    "a task goes on past the limit": ("G4", after_its_limit),
    "a task is tried for longer than it may be": ("G4", after_its_time),
    "a task without a limit timed out": (
        "G4",
        lambda run, a: end(run, a, STATE.timeout, "task-timeout"),
    ),
    "a task ended a second ago": (
        "G10",
        lambda run, a: end(run, a, STATE.finished, "task-end", late=-1),
    ),
    "a task failed without an error": (
        "G7",
        lambda run, a: end(run, a, STATE.exception, "task-error"),
    ),
}


@pytest.mark.parametrize(("guarantee", "lie"), LIES.values(), ids=LIES)
async def test_a_watch_notices(guarantee: str, lie: Lie) -> None:
    """At the event, while the run goes on; it keeps what was broken first."""
    async with tukio.Engine() as engine:
        watch = Watch.of(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "nap", "b": "nap"}), {"in": 0})
        await anyio.sleep(0.5)
        watch.check()
        (step,) = run.tasks
        lie(run, step)
        with pytest.raises(BrokenGuarantee) as caught:
            watch.check()
        assert caught.value.guarantee == guarantee
        run._run.plan.ready.clear()
        run.cancel()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda found: found[1:], "was not undone, once"),
        (lambda found: found[::-1], "undone in another order"),
    ],
    ids=["one is left out", "another order"],
)
async def test_a_watch_notices_how_items_are_undone(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], problem: str
) -> None:
    """Each that is done once, in reverse order of their ends."""

    def spoilt(*args: Any) -> Any:
        return spoil([*what_undoes(*args)])

    monkeypatch.setattr("tukio._run.closing.what_undoes", spoilt)
    each = {"id": "a", "name": "nap", "compensate": "nap", "map": {"over": "$.list", "limit": 1}}
    tasks = [each, {"id": "b", "name": "fails"}]
    template = {"id": "x", "on_error": "abort", "tasks": tasks, "graph": {"a": ["b"]}}
    async with tukio.Engine() as engine:
        watch = Watch.of(engine)
        run = await engine.start(template, {"list": [{}, {}, {}]})
        await run.wait()
    with pytest.raises(BrokenGuarantee, match=f"G16: .*{problem}"):
        watch.check()


async def test_a_watch_notices_what_comes_after_the_end() -> None:
    """Nobody expects anything then."""
    async with tukio.Engine() as engine:
        watch = Watch.of(engine)
        run: Any = await engine.run_once(flow("a", names={"a": "nap"}), {"in": 0})
        await run.wait()
        watch.check()
        tell(run, "any")
        with pytest.raises(BrokenGuarantee, match="G2"):
            watch.check()


def drop(timeline: Timeline, *words: str) -> Timeline:
    """Leave an event out."""
    return Timeline([moment for moment in timeline if moment.kind not in words])


def twice(timeline: Timeline, word: str) -> Timeline:
    """Let an event come twice, the second time right after the first."""
    return Timeline([one for moment in timeline for one in [moment] * (1 + (moment.kind == word))])


def alter(timeline: Timeline, word: str, **changes: Any) -> Timeline:
    """Tell an event in another way."""
    return Timeline(
        [replace(moment, **changes) if moment.kind == word else moment for moment in timeline]
    )


CHANGES: dict[str, tuple[str, Callable[[Timeline], Timeline]]] = {
    "no end": ("G2", lambda told: drop(told, "workflow-end")),
    "two ends": ("G2", lambda told: twice(told, "workflow-end")),
    "something after the end": (
        "G2",
        lambda told: Timeline([*told, told.moments[0]]),
    ),
    "another end": ("G2", lambda told: alter(told, "workflow-end", content={"cancel": True})),
    "no begin of a task": ("G2", lambda told: drop(told, "task-begin")),
    "two begins of a task": ("G2", lambda told: twice(told, "task-begin")),
    "no end of a task": ("G2", lambda told: drop(told, "task-end")),
    "two ends of a task": ("G2", lambda told: twice(told, "task-end")),
    "a task that was skipped": ("G2", lambda told: alter(told, "task-end", kind="task-skip")),
    "an error of another task": ("G7", lambda told: alter(told, "task-error", task="c")),
    "other inputs": ("G10", lambda told: alter(told, "task-begin", content={})),
    "another output": ("G10", lambda told: alter(told, "task-end", content={"n": 2})),
}


@pytest.mark.parametrize(("guarantee", "change"), CHANGES.values(), ids=CHANGES)
async def test_the_last_check_notices(
    guarantee: str, change: Callable[[Timeline], Timeline]
) -> None:
    """When the run is over: what was told is not what it says of itself."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        run: Any = await engine.run_once(flow("a b", names={"a": "nap", "b": "fails"}), {"in": 0})
        await run.wait()
    check_guarantees(run, timeline)
    with pytest.raises(BrokenGuarantee) as caught:
        check_guarantees(run, change(timeline))
    assert caught.value.guarantee == guarantee


async def test_the_last_check_notices_a_lost_error() -> None:
    """One that the run does not keep."""
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        run: Any = await engine.run_once(flow("a", names={"a": "fails"}), {"in": 0})
        await run.wait()
    run._run.errors.clear()
    with pytest.raises(BrokenGuarantee, match="G7"):
        check_guarantees(run, timeline)


async def test_a_run_may_be_ended_by_a_handler_before_it_has_told_anything() -> None:
    """Its end is heard after what the handler was called with: when it is over, as it should be."""
    async with tukio.Engine() as engine:
        watch = Watch.of(engine)

        def cancel_all(event: tukio.Event) -> None:
            for run in engine.instances:
                run.cancel()

        engine.broker.register(cancel_all, tukio.EXEC_TOPIC)
        await engine.load(flow("nap", policy="abort-running"))
        runs: list[Any] = [await engine.trigger("flow", {}) for _ in range(3)]
        await runs[-1].wait()
        watch.check()
        # But only once.
        tell(runs[-1], "workflow-end", content={"cancel": True})
        with pytest.raises(BrokenGuarantee, match="G2"):
            watch.check()
