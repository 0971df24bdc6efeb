"""G6: who holds the event loop, if no coroutine of a step does: taps, methods, other tasks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.lookouts import LIMIT, Told, hold_until, hurry, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.flow import Tasks

native = pytest.mark.backends("asyncio", "uvloop")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the second of the lookout a short one; that of other tests has ended by then."""
    hurry(monkeypatch)
    hold_until(lambda: not threads())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Return what the lookout tells."""
    return Told(monkeypatch)


def named_by(told: Told) -> tuple[str, str]:
    """Return whom the only warning names, and where that is, innermost line first."""
    [record] = told.warnings
    lines = [line for line in str(record.stack_info).splitlines() if line.startswith("  File ")]
    return record.getMessage().partition(" has held ")[0], lines[0].rpartition(", in ")[2]


# Taps


@pytest.mark.parametrize("kind", ["workflow-begin", "task-begin", "task-progress", "task-end"])
async def test_g6_a_tap_is_named_and_not_the_task_that_it_hears_of(
    task: Tasks, told: Told, kind: str
) -> None:
    """Whoever is on the stack around it."""

    def tap(event: str, *rest: Any) -> None:
        if event == kind:
            hold_until(lambda: told.warnings)

    @task
    async def innocent(event: tukio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        step: Any = tukio.current_task()
        step.dispatch_progress({"n": 1})

    async with tukio.Engine() as engine:
        with engine.tap(tap):
            run: Any = await engine.run_once(flow("innocent"), {})
            await run.wait()
    assert named_by(told) == (f"tap {tap.__module__}.{tap.__qualname__}", "tap")
    assert not hasattr(told.warnings[0], "tukio_task")


# Methods of users' classes


@pytest.mark.parametrize("what", ["uid", "report"])
async def test_g6_what_an_engine_asks_a_holder_is_named_as_its_task(
    task: Tasks, told: Told, what: str
) -> None:
    """Whoever makes it ask: here the code around the engine."""

    def hold(asked: str) -> None:
        if asked == what:
            hold_until(lambda: told.warnings)

    @task
    class Holds:
        def __init__(self, config: Any) -> None: ...

        @property
        def uid(self) -> str:
            hold("uid")
            return "mine"

        async def execute(self, event: tukio.Event) -> None: ...

        def report(self) -> Any:
            hold("report")
            return {}

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Holds"), {})
        await run.wait()
        run.report()
    name = f"task 'Holds' of workflow {run.uid}"
    assert named_by(told) == (name, what)
    assert told.warnings[0].tukio_task == "Holds"


class Slow(dict[str, Any]):
    """A dict of a user's class, of which a method takes long."""

    hold: Callable[[str], None]

    def copy(self) -> Any:
        """Take long, perhaps."""
        self.hold("copy")
        return Slow(self)

    def __iter__(self) -> Iterator[str]:
        """Be a method of its own: else Python asks for no keys."""
        return super().__iter__()

    def keys(self) -> Any:
        """Take long, perhaps."""
        self.hold("keys")
        return super().keys()


def slow_at(method: str, told: Told, patch: pytest.MonkeyPatch) -> None:
    """Let a method of such a dict hold the loop until that is told of."""

    def hold(data: Slow, asked: str) -> None:
        if asked == method:
            hold_until(lambda: told.warnings)

    patch.setattr(Slow, "hold", hold, raising=False)


async def test_g6_a_dict_that_takes_long_to_be_copied_is_named_by_its_class(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has come to the engine from anywhere."""
    slow_at("copy", told, monkeypatch)
    async with tukio.Engine() as engine:
        await engine.data_received(Slow(n=1), "t")
    assert named_by(told) == ("copy() of <a Slow>", "copy")


@pytest.mark.parametrize("method", ["keys", "copy"])
async def test_g6_what_a_task_has_returned_is_never_copied_in_silence(
    task: Tasks, told: Told, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Its items are read by the engine, for its task; and what is on its way is copied."""
    slow_at(method, told, monkeypatch)

    @task
    async def returns(event: tukio.Event) -> dict[str, Any]:
        return Slow(n=1)

    @task
    async def leaf(event: tukio.Event) -> None: ...

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("returns leaf"), {} if method == "keys" else Slow())
        await run.wait()
    who = {"keys": f"task 'returns' of workflow {run.uid}", "copy": "copy() of <a Slow>"}
    assert named_by(told) == (who[method], method)


# Tasks that steps have started


@pytest.mark.parametrize("is_over", [False, True])
async def test_g6_a_task_that_a_step_has_started_is_told_from_the_step(
    task: Tasks, told: Told, is_over: bool
) -> None:
    """It may go on for long after the run is over: then the step is not there any more."""
    go_on = anyio.Event()

    async def child() -> None:
        await go_on.wait()
        hold_until(lambda: told.warnings)

    async with tukio.Engine() as engine, anyio.create_task_group() as group:

        @task
        async def parent(event: tukio.Event) -> None:
            group.start_soon(child)
            if not is_over:
                await anyio.sleep(1)

        run: Any = await engine.run_once(flow("parent"), {})
        await (run.wait() if is_over else anyio.sleep(0.5))
        go_on.set()
    assert named_by(told)[0] == f"a task that task 'parent' of workflow {run.uid} has started"
    [record] = told.warnings
    assert (record.tukio_run, record.tukio_task) == (run.uid, "parent")


# The end


async def test_the_end_is_told_though_the_engine_is_left_at_once(task: Tasks, told: Told) -> None:
    """Nobody looks any more then: it is told with the last word of the thread."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("holds"), {})
    assert threads() == []
    [end] = told.ends
    assert end.getMessage().startswith("task 'holds' of workflow ")
    assert end.tukio_task == "holds"


# Threads


def new_native_loop(backend: str) -> Any:
    """Return a loop in real time; no attribute of that of uvloop tells where it runs."""
    return (
        pytest.importorskip("uvloop").new_event_loop()
        if backend == "uvloop"
        else (asyncio.new_event_loop())
    )


@native
def test_g6_a_loop_in_another_thread_answers_for_no_other(
    backend: str, task: Tasks, told: Told
) -> None:
    """Though its engine was made in the thread that is held."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    loop = new_native_loop(backend)
    loose = tukio.Engine(loop=loop)

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.run_once(flow("holds"), {})

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run(main())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LIMIT)
    loop.run_until_complete(loose.stop())
    loop.close()
    assert len(told.warnings) == 1
    assert threads() == []


@native
def test_g6_a_step_of_a_loop_that_runs_in_another_thread_is_named(
    backend: str, task: Tasks, told: Told
) -> None:
    """Where its runs are is known by then."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    loop = new_native_loop(backend)
    engine = tukio.Engine(loop=loop)

    async def main() -> None:
        run: Any = await engine.run_once(flow("holds"), {})
        await run.wait()
        await engine.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    thread.join(LIMIT)
    loop.close()
    who, where = named_by(told)
    assert who.startswith("task 'holds' of workflow ")
    assert where == "holds"
    assert threads() == []
