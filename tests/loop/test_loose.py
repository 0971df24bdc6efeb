"""Loose mode, as in 1.x: an engine on an asyncio loop, without a `with` block.

Every run is a root of its own there: nobody but tukio keeps it alive, and nobody but `stop()` ends
it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import tukio
from support.flow import flow, kinds, listen
from support.leaks import no_asyncio_errors
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from support.flow import Tasks
    from tukio.testing.loop import VirtualTime

pytestmark = pytest.mark.backends("asyncio", "uvloop")

T = TypeVar("T")

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished


@pytest.fixture
def loop(backend: str) -> Iterator[VirtualTime]:
    """Give a loop that the test drives itself; no task and no complaint may be left behind."""
    with no_asyncio_errors():
        loop = new_loop(backend)
        yield loop
        loop.run_until_complete(loop.settle())
        left = asyncio.all_tasks(loop)
        loop.close()
        assert left == set()


def slow(task: Tasks) -> None:
    """Register a task that takes 30 seconds and adds one to its number."""

    @task
    async def slow(event: tukio.Event) -> dict[str, int]:
        await asyncio.sleep(30)
        return {"n": event.data["n"] + 1}


def waiting(task: Tasks) -> asyncio.Event:
    """Register a task that waits for the event that is returned."""
    gate = asyncio.Event()

    @task
    async def wait(event: tukio.Event) -> None:
        await gate.wait()

    return gate


def test_an_engine_is_made_loaded_and_used_before_its_loop_runs(
    task: Tasks, loop: VirtualTime
) -> None:
    """Step by step with `run_until_complete`, as the sample of 1.x does."""
    slow(task)
    engine = tukio.Engine(loop=loop)
    template = flow("slow after", names={"after": "slow"}, topics=["numbers"])
    loop.run_until_complete(engine.load(template))
    runs: list[Any] = loop.run_until_complete(engine.data_received({"n": 1}, "numbers"))
    assert loop.run_until_complete(engine.data_received({"n": 1}, "words")) == []
    done, pending = loop.run_until_complete(asyncio.wait(runs))

    assert (done, pending) == (set(runs), set())
    assert runs[0].state is FINISHED
    assert runs[0].outputs == {"slow": {"n": 2}, "after": {"n": 3}}
    assert loop.time() == 60


def test_a_run_is_driven_by_whoever_runs_the_loop(task: Tasks, loop: VirtualTime) -> None:
    """It pauses with the loop, and `run_until_complete` takes the run itself."""
    gate = waiting(task)
    engine = tukio.Engine(loop=loop)
    run: Any = loop.run_until_complete(engine.run_once(flow("wait"), {}))
    loop.run_until_complete(loop.settle())
    assert not run.done()
    assert [step.in_progress() for step in run.tasks] == [True]
    gate.set()
    assert not run.done()
    assert loop.run_until_complete(run) == set(run.tasks)


def test_every_way_to_start_a_run(task: Tasks, loop: VirtualTime) -> None:
    """By its topic, by its id, and without being loaded."""
    slow(task)
    engine = tukio.Engine(loop=loop)

    async def main() -> list[Any]:
        await engine.load(flow("slow", topics=["numbers"]))
        runs: list[Any] = [
            *await engine.data_received({"n": 1}, "numbers"),
            await engine.trigger("flow", {"n": 2}),
            await engine.run_once(flow("slow", id="other"), {"n": 3}),
        ]
        unknown = await engine.trigger("other", {})
        assert not unknown
        assert engine.instances == runs
        return list(await asyncio.gather(*runs))

    results = loop.run_until_complete(main())
    assert [[step.outputs for step in steps] for steps in results] == [
        [{"n": 2}],
        [{"n": 3}],
        [{"n": 4}],
    ]
    assert engine.instances == []
    assert loop.time() == 30


# The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "ends_at", "ending"),
    [
        ({}, 30, FINISHED),
        ({"force": True}, 1, CANCELLED),
        ({"grace": 4}, 5, CANCELLED),
        ({"grace": 60}, 30, FINISHED),
    ],
)
async def test_stop_ends_the_engine(
    task: Tasks, how: dict[str, Any], ends_at: float, ending: tukio.FutureState
) -> None:
    """It waits for the runs, or not for so long; nothing starts any more."""
    slow(task)
    engine = tukio.Engine()
    await engine.load(flow("slow"))
    run = await engine.trigger("flow", {"n": 1})
    await asyncio.sleep(1)
    await engine.stop(**how)

    assert engine.done()
    assert asyncio.get_running_loop().time() == ends_at
    assert run.state is ending
    assert await engine.data_received({"n": 1}) == []
    assert not await engine.trigger("flow", {"n": 1})
    assert not await engine.run_once(flow("slow"), {"n": 1})


@pytest.mark.parametrize(("how", "takes"), [({"force": True}, 0), ({"grace": 4}, 4)])
def test_stop_may_be_called_while_the_loop_stands_still(
    task: Tasks, loop: VirtualTime, how: dict[str, Any], takes: float
) -> None:
    """`run_until_complete(engine.stop(...))` calls it before the loop runs."""
    waiting(task)
    engine = tukio.Engine(loop=loop)
    run = loop.run_until_complete(engine.run_once(flow("wait"), {}))
    loop.run_until_complete(loop.settle())
    start = loop.time()
    loop.run_until_complete(engine.stop(**how))

    assert engine.done()
    assert loop.time() - start == takes
    assert run.state is CANCELLED
    assert [step.state for step in run.tasks] == [CANCELLED]


def test_stop_lets_a_run_finish_that_it_can_wait_for(task: Tasks, loop: VirtualTime) -> None:
    """However little of it has been run by then."""
    slow(task)
    engine = tukio.Engine(loop=loop)
    run = loop.run_until_complete(engine.run_once(flow("slow"), {"n": 1}))
    loop.run_until_complete(engine.stop())
    assert engine.done()
    assert run.state is FINISHED


def test_a_run_and_a_task_may_be_cancelled_while_the_loop_stands_still(
    task: Tasks, loop: VirtualTime
) -> None:
    """It takes effect as soon as the loop runs, and reaches only what was meant."""
    waiting(task)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    engine = tukio.Engine(loop=loop)
    names = {"a": "wait", "b": "wait"}
    run: Any = loop.run_until_complete(engine.run_once(flow({"root": ["a", "b"]}, names=names), {}))
    loop.run_until_complete(loop.settle())
    _, a, b = run.tasks
    assert a.cancel()
    assert not a.done()
    loop.run_until_complete(loop.settle())
    assert [step.state.value for step in (a, b)] == ["cancelled", "pending"]
    assert run.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(run)
    assert b.state is CANCELLED
    assert run.state is CANCELLED


def test_stop_can_be_repeated_with_more_force(task: Tasks, loop: VirtualTime) -> None:
    """As a program does on its second signal."""
    waiting(task)
    engine = tukio.Engine(loop=loop)
    run = loop.run_until_complete(engine.run_once(flow("wait"), {}))
    engine.stop()
    loop.run_until_complete(loop.settle())
    assert not engine.done()
    loop.run_until_complete(engine.stop(force=True))
    loop.run_until_complete(engine.stop())

    assert run.state is CANCELLED


async def test_an_engine_can_be_awaited_more_than_once(task: Tasks) -> None:
    """By two at once, and again when it is over."""
    slow(task)
    engine = tukio.Engine()
    await engine.run_once(flow("slow"), {"n": 1})

    async def wait() -> float:
        await engine
        return asyncio.get_running_loop().time()

    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(wait()) for _ in range(2)]
        await asyncio.sleep(1)
        engine.stop()
    await engine
    await engine.stop()

    assert [waiter.result() for waiter in waiters] == [30, 30]
    assert asyncio.get_running_loop().time() == 30


async def test_giving_up_waiting_for_the_engine_harms_nothing(task: Tasks) -> None:
    """In 1.x the engine counted as done from then on, and its runs were on their own (B49)."""
    slow(task)
    engine = tukio.Engine()
    run = await engine.run_once(flow("slow"), {"n": 1})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.stop(), 10)
    assert not engine.done()
    assert engine.instances == [run]
    assert run.state is tukio.FutureState.pending
    await engine

    assert asyncio.get_running_loop().time() == 30
    assert run.state is FINISHED


async def test_an_engine_binds_to_the_loop_it_is_first_used_on(task: Tasks) -> None:
    """`Engine()` in a running loop needs neither `loop=` nor a `with` block."""
    slow(task)
    engine = tukio.Engine()
    await engine.load(flow("slow"))
    (run,) = await engine.data_received({"n": 1})
    await run.wait()

    assert run.outputs == {"slow": {"n": 2}}
    with pytest.raises(tukio.EngineError, match="make a new one"):
        await engine.__aenter__()


def test_engines_on_one_loop_do_not_meet(task: Tasks, loop: VirtualTime) -> None:
    """Each has its own templates and runs; to stop one of them stops no other."""
    gate = waiting(task)
    engines = [tukio.Engine(loop=loop) for _ in range(3)]
    loop.run_until_complete(engines[0].load(flow("wait")))
    assert not loop.run_until_complete(engines[1].trigger("flow", {}))
    runs: list[Any] = [
        loop.run_until_complete(engine.run_once(flow("wait"), {})) for engine in engines
    ]
    assert [engine.instances for engine in engines] == [[run] for run in runs]
    loop.run_until_complete(engines[0].stop(force=True))
    loop.run_until_complete(loop.settle())
    assert [run.state.value for run in runs] == ["cancelled", "pending", "pending"]
    gate.set()
    loop.run_until_complete(asyncio.wait(runs[1:]))

    assert [run.state for run in runs] == [CANCELLED, FINISHED, FINISHED]
    assert [engine.instances for engine in engines] == [[], [], []]


def test_a_run_that_fails_unseen_does_not_make_asyncio_complain(
    task: Tasks, loop: VirtualTime
) -> None:
    """It is logged by the engine; that nobody awaited it is no error."""

    @task
    async def bad(event: tukio.Event) -> None:
        raise LookupError("mine")

    engine = tukio.Engine(loop=loop)
    run = loop.run_until_complete(engine.run_once(flow("bad", on_error="abort"), {}))
    loop.run_until_complete(engine.stop())
    assert run.state is tukio.FutureState.exception
    del run


# The end of the loop ------------------------------------------------------------------------------


def run_to_the_end_of_the_program(backend: str, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do what `asyncio.run` does, in virtual time; nobody may complain."""
    with no_asyncio_errors(), asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        return runner.run(main())


def test_a_run_in_progress_when_the_program_ends_is_cancelled_with_its_clean_up(
    task: Tasks, backend: str
) -> None:
    """`asyncio.run` cancels what is left: the run ends in good order, and nobody complains."""
    story: list[str] = []

    @task
    class Careful(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            uid = tukio.current_task().template.uid
            try:
                await asyncio.sleep(30)
            finally:
                story.append(f"unwound {uid}")

        async def teardown(self) -> None:
            await asyncio.sleep(2)
            story.append("torn down")

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async def main() -> tuple[Any, list[Any]]:
        engine = tukio.Engine()
        events = listen(engine)
        names = dict.fromkeys(["a", "b", "never"], "Careful")
        run = await engine.run_once(flow({"root": ["a", "b"], "a": ["never"]}, names=names), {})
        await asyncio.sleep(1)
        return run, events

    run, events = run_to_the_end_of_the_program(backend, main)

    assert run.cancelled()
    assert run.state is CANCELLED
    assert sorted(story) == ["torn down", "torn down", "unwound a", "unwound b"]
    assert [step.state.value for step in run.tasks] == ["finished", "cancelled", "cancelled"]
    assert events[-1] == ("workflow-end", None, {"cancel": True})
    assert kinds(events).count("workflow-end") == 1


@pytest.mark.parametrize("turns", range(4))
def test_a_run_that_hardly_begins_before_the_program_ends_is_cancelled(
    task: Tasks, backend: str, turns: int
) -> None:
    """Whichever turn of the loop is the last one: it ends once, and no host is left behind."""

    async def wait(event: tukio.Event) -> None:
        await asyncio.sleep(30)

    @task
    async def root(event: tukio.Event) -> None:
        await asyncio.sleep(0)

    task(wait)

    async def main() -> tuple[Any, list[Any]]:
        engine = tukio.Engine()
        events = listen(engine)
        names = {"a": "wait", "b": "wait"}
        run = await engine.run_once(flow({"root": ["a", "b"]}, names=names), {})
        for _ in range(turns):
            await asyncio.sleep(0)
        return run, events

    run, events = run_to_the_end_of_the_program(backend, main)

    assert run.state is CANCELLED
    assert events[-1] == ("workflow-end", None, {"cancel": True})
    assert kinds(events).count("workflow-end") == 1


def test_an_engine_in_each_of_many_programs_leaves_no_loop_behind(
    task: Tasks, backend: str
) -> None:
    """In 1.x the brokers of all closed loops stayed alive for ever (B43)."""
    slow(task)
    loops: list[weakref.ref[Any]] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        engine = tukio.Engine()
        listen(engine)
        run: Any = await engine.run_once(flow("slow"), {"n": 1})
        await run

    for _ in range(5):
        run_to_the_end_of_the_program(backend, main)
    gc.collect()

    assert [loop() for loop in loops] == [None] * 5


# What keeps a run alive ---------------------------------------------------------------------------


@pytest.mark.parametrize("suspended", [False, True])
def test_a_run_that_nobody_holds_is_not_collected(
    task: Tasks, loop: VirtualTime, suspended: bool
) -> None:
    """Even if nothing but itself knows what it waits for (B45), and its engine is gone.

    A suspended one has no asyncio task at all.
    """
    bells: list[weakref.ref[asyncio.Event]] = []

    @task
    async def wait(event: tukio.Event) -> None:
        bell = asyncio.Event()
        bells.append(weakref.ref(bell))
        await bell.wait()

    def start() -> weakref.ref[Any]:
        engine = tukio.Engine(loop=loop)
        run: Any = loop.run_until_complete(engine.run_once(flow("wait"), {}))
        loop.run_until_complete(loop.settle())
        if suspended:
            run.suspend()
        loop.run_until_complete(loop.settle())
        return weakref.ref(run)

    trace = start()
    gc.collect()

    run = trace()
    assert run is not None
    if suspended:
        run.resume()
    loop.run_until_complete(loop.settle())
    bell = bells[-1]()
    assert bell is not None
    bell.set()
    loop.run_until_complete(run)
    assert run.state is FINISHED


class Payload:
    """Something that can be traced from step to step."""


def test_a_thousand_runs_leave_nothing_behind(
    task: Tasks, loop: VirtualTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the runs, nor their data and hosts; the engine goes on."""
    # What pytest keeps of the log holds the tracebacks of the failed tasks.
    caplog.set_level(logging.CRITICAL, logger="tukio")
    traces: list[weakref.ref[Any]] = []

    async def work(event: tukio.Event) -> dict[str, Any]:
        host = asyncio.current_task()
        assert host is not None
        payload = Payload()
        traces.extend([weakref.ref(host), weakref.ref(payload)])
        await asyncio.sleep(1 + event.data["n"] % 3)
        if event.data["n"] % 7 == 0 and tukio.current_task().template.uid == "b":
            raise LookupError
        return event.data | {"payload": payload}

    task(work)
    engine = tukio.Engine(loop=loop)
    story = listen(engine)
    template = flow({"a": ["b", "c"]}, names=dict.fromkeys("abc", "work"), timeout=100)

    async def main() -> None:
        for number in range(1000):
            run = await engine.run_once(template, {"n": number, "payload": Payload()})
            traces.append(weakref.ref(run))
        assert len(engine.instances) == 1000
        await asyncio.sleep(10)

    loop.run_until_complete(main())
    assert engine.instances == []
    assert kinds(story).count("workflow-end") == 1000
    assert kinds(story).count("task-error b") == 143
    story.clear()
    gc.collect()

    assert len(traces) == 7000
    assert [trace() for trace in traces if trace() is not None] == []
    assert loop.live_timers() == []


def test_a_broker_looked_at_before_the_first_use_is_that_of_the_loop(
    task: Tasks, loop: VirtualTime
) -> None:
    """Who registered there, and who registered with the loop's, hear the same; each once."""
    heard: list[tuple[str, str]] = []

    @task
    async def work(event: tukio.Event) -> None:
        return

    def listener(name: str) -> Any:
        return lambda event: heard.append((name, event.data["type"]))

    async def main() -> None:
        engine, both = tukio.Engine(), listener("both")
        for broker, own in (
            (engine.broker, listener("engine's")),
            (tukio.get_broker(), listener("loop's")),
        ):
            broker.register(own, tukio.EXEC_TOPIC)
            broker.register(both, tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("work"), {})
        await run.wait()
        assert engine.broker is tukio.get_broker()

    loop.run_until_complete(main())
    words = ["workflow-begin", "task-begin", "task-end", "workflow-end"]
    assert heard == [(name, word) for word in words for name in ("loop's", "both", "engine's")]
