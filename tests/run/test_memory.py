"""What is over leaves nothing behind but what the user holds."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections import Counter
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.lookouts import hold_until, threads
from tukio._loop.running import running_backend
from tukio.testing.clock import BACKENDS, is_available, run as run_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flow import Tasks

AT_ONCE = 500


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log nothing: pytest keeps each record, with the traceback, with the frames, with the run."""
    monkeypatch.setattr(logging.getLogger("tukio.run"), "disabled", True)


def population() -> Counter[str]:
    """Return how many objects of our own there are, by the names of their types."""
    gc.collect()
    kinds = Counter(type(thing) for thing in gc.get_objects())
    # Some types elsewhere have a `__module__` that is no text.
    ours = {
        kind: count for kind, count in kinds.items() if f"{kind.__module__}".startswith("tukio")
    }
    return Counter({kind.__qualname__: count for kind, count in ours.items()})


@pytest.fixture
def steps(task: Tasks) -> None:
    """Register tasks that use all that a run can need."""

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        return {**event.data, tukio.current_task().uid: 1}

    @task
    async def still(event: tukio.Event) -> None:
        pass

    @task
    async def nap(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1)
        tukio.current_task().dispatch_progress({"n": 1})

    @task
    async def fail(event: tukio.Event) -> None:
        raise KeyError(event.data["n"])

    @task
    class holder(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            with tukio.broker.TopicManager("t"):
                await anyio.sleep(10)


def small_flow() -> tukio.WorkflowTemplate:
    """Return a template whose tasks do little."""
    return flow("quick slow", topics=["start"])


def busy_flow() -> tukio.WorkflowTemplate:
    """Return a template with a join, a limit that is reached, a failure and topics."""
    return flow(
        {"quick": ["slow", "holder"], "slow": ["j"], "holder": ["j"], "j": ["fail"]},
        tasks=[
            {"id": "quick", "name": "quick"},
            {"id": "slow", "name": "slow", "topics": None},
            {"id": "holder", "name": "holder", "timeout": 2, "topics": ["u"]},
            {"id": "j", "name": "join", "config": {"wait_for": 2}},
            {"id": "fail", "name": "fail"},
        ],
        timeout=100,
        topics=["start"],
    )


async def runs(engine: tukio.Engine, count: int) -> list[weakref.ref[Any]]:
    """Have some runs done, many at once, and return a trace of each."""
    traces: list[weakref.ref[Any]] = []
    for number in range(count):
        (run,) = await engine.data_received({"n": number}, "start")
        traces.append(weakref.ref(run))
        if number % AT_ONCE == 0:
            await run.wait()
    for run in engine.instances:
        await run.wait()
    # The loop of the tests keeps a timer that was cancelled until its time has come.
    await anyio.sleep(200)
    # Trio's keeps what woke this task until its next turn: the cancellation that ended the sleep,
    # whose traceback leads to all frames that slept, this one included.
    await anyio.lowlevel.checkpoint()
    return traces


@pytest.mark.usefixtures("steps", "quiet")
@pytest.mark.parametrize(
    ("template", "many", "tasks"), [(small_flow(), 10_000, 2), (busy_flow(), 1_000, 5)]
)
async def test_finished_runs_leave_only_what_the_user_holds(
    template: tukio.WorkflowTemplate, many: int, tasks: int
) -> None:
    """Ten thousand of them: engine, template and listener live on, but no run, task or event."""
    if running_backend() == "asyncio":
        asyncio.get_running_loop().set_debug(False)  # ten times as fast
    alive = population()
    heard: Counter[str] = Counter()
    traces: list[weakref.ref[Any]] = []
    held: list[Any] = []

    async with tukio.Engine() as engine:
        await engine.load(template)
        engine.broker.register(lambda event: heard.update([event.data["type"]]), tukio.EXEC_TOPIC)
        held += await engine.data_received({"n": 0}, "start")
        (run,) = await engine.data_received({"n": 0}, "start")
        await run.wait()
        held.append(next(iter(run.tasks)))
        del run
        traces += await runs(engine, 10)
        before = population()
        # A task that is held holds its run.
        kept = before - alive
        assert (kept["Run"], kept["TaskRun"]) == (2, 2 * tasks)

        traces += await runs(engine, many)
        assert engine.instances == []
        assert population() == before
        assert [trace for trace in traces if trace() is not None] == []

        held.clear()
        kept = population() - alive
        assert (kept["Run"], kept["TaskRun"], kept["Event"], kept["Inbox"]) == (0, 0, 0, 0)

    assert heard["workflow-begin"] == heard["workflow-end"] == many + 12


async def cut(engine: tukio.Engine, number: int) -> list[weakref.ref[Any]]:
    """Start a run, then another in its place, which is cut in one way or another; rescue that."""
    (run,) = await engine.data_received({"n": number}, "start")
    (heir,) = await engine.data_received({"n": number}, "start")
    await anyio.sleep(number % 2)
    heir.suspend()
    report = heir.report()
    if number % 3:
        heir.cancel()
    await anyio.sleep(1)
    heir.cancel()
    await heir.wait()
    if report["exec"]["start"] is None:
        return [weakref.ref(run), weakref.ref(heir)]
    rescued: Any = await engine.rescue(heir.template, report)
    with pytest.raises(tukio.RescueError):
        await engine.rescue(heir.template, report)
    await rescued.wait()
    return [weakref.ref(run), weakref.ref(heir), weakref.ref(rescued)]


@pytest.mark.usefixtures("steps")
async def test_runs_that_were_cut_leave_nothing_behind() -> None:
    """Cancelled before they began, between steps, suspended; refused; rescued."""
    template = flow("quick holder", policy="abort-running", topics=["start"])
    async with tukio.Engine() as engine:
        await engine.load(template)
        await cut(engine, 1)
        before = population()
        traces = [trace for number in range(100) for trace in await cut(engine, number)]
        after = population()

    assert [trace for trace in traces if trace() is not None] == []
    assert after - before == Counter()
    assert len(traces) >= 250


@pytest.mark.usefixtures("steps")
async def test_a_run_is_gone_as_soon_as_it_is_collected_while_others_go_on() -> None:
    """It is no part of any cycle with the engine, nor with the runs beside it."""
    async with tukio.Engine() as engine:
        other = await engine.run_once(flow("holder"), {})
        run: Any = await engine.run_once(flow("quick"), {})
        trace = weakref.ref(run)
        await run.wait()
        del run
        gc.collect()
        assert trace() is None
        assert engine.instances == [other]


ENGINES = 50


async def use(engine: tukio.Engine) -> list[weakref.ref[Any]]:
    """Run something in an engine, with a handler that knows the engine; return traces of all."""

    def listen(event: tukio.Event) -> None:
        assert engine.instances is not None

    engine.broker.register(listen, tukio.EXEC_TOPIC)
    engine.broker.register(listen, "t")
    await engine.load(flow("quick", topics=["t"]))
    (run,) = await engine.data_received({}, "t")
    await run.wait()
    loop = [asyncio.get_running_loop()] if running_backend() == "asyncio" else []
    return [weakref.ref(thing) for thing in (engine, engine.broker, run, listen, *loop)]


async def use_structured() -> list[weakref.ref[Any]]:
    """Use an engine in its block."""
    async with tukio.Engine() as engine:
        return await use(engine)


async def use_loose() -> list[weakref.ref[Any]]:
    """Use an engine as in 1.x, and never stop it."""
    return await use(tukio.Engine(loop=asyncio.get_running_loop()))


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("backend", "program"),
    [(backend, use_structured) for backend in BACKENDS]
    + [("asyncio", use_loose), ("uvloop", use_loose)],
)
def test_fifty_engines_in_a_row_leave_no_broker_and_no_loop(backend: str, program: Any) -> None:
    """In 1.1.2 the broker of each program, its handlers and its loop were kept for ever (B43).

    Also if a handler knows its engine, as most do.
    """
    if not is_available(backend):
        pytest.skip(f"{backend} is not installed")
    before = population()
    traces = [trace for _ in range(ENGINES) for trace in run_on(program, backend=backend)]
    # That of a loose engine which was never stopped ends when it finds that the loop is closed.
    hold_until(lambda: not threads())
    after = population()

    assert len(traces) == ENGINES * (4 if backend == "trio" else 5)
    assert [trace() for trace in traces if trace() is not None] == []
    assert after - before == Counter()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep the garbage collector from running."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("steps", "no_collector")
async def test_a_run_that_is_over_goes_when_the_user_lets_go_of_it() -> None:
    """At once: there is no circle that only the garbage collector could find."""
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("still nap"), {"n": 1})
        assert isinstance(run, tukio.Workflow)
        await run.wait()
        # Trio keeps what woke this task until its next turn.
        await anyio.lowlevel.checkpoint()
        traces = weakref.ref(run), weakref.ref(run._run)
        del run
        assert [trace() for trace in traces] == [None, None]


@pytest.mark.usefixtures("steps", "no_collector")
@pytest.mark.parametrize("way", ["tasks", "current_task", "a context"])
async def test_who_keeps_only_a_task_has_its_workflow(task: Tasks, way: str) -> None:
    """However it was got: from the run, in the task, or in a context that the task left behind."""
    kept: list[Any] = []

    @task
    async def keep(event: tukio.Event) -> None:
        if way == "a context":
            kept.append(copy_context())
        elif way == "current_task":
            kept.append(tukio.current_task())

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("still keep nap"), {})
        assert isinstance(run, tukio.Workflow)
        await run.wait()
    if way == "tasks":
        kept += run.tasks
    await anyio.lowlevel.checkpoint()
    uid, trace = run.uid, weakref.ref(run)
    del run, engine
    if way == "a context":
        assert kept[0].run(tukio.current_workflow) is trace()
        kept[0] = kept[0].run(tukio.current_task)
    for step in kept:
        assert step.workflow is trace()
        assert step.workflow.uid == step.source.workflow_exec_id == uid
        assert len(step.workflow.report()["tasks"]) == 3
    del step
    kept.clear()
    gc.collect()
    assert trace() is None
