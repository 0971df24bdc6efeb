"""G6: whoever holds the event loop is named while it does, on any backend, without a debug mode."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.lookouts import (
    LIMIT,
    SECOND,
    Told,
    hold_for,
    hold_until,
    hurry,
    threads,
    turns_until,
)
from tukio._loop.lookout import LOOKS, PERIOD
from tukio._run.holding import LOOKOUT
from tukio.task import Registry
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
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


# Who is named


async def test_g6_a_step_that_holds_the_loop_is_named_while_it_does(
    task: Tasks, told: Told
) -> None:
    """With its ids, its place and what would help; so also after it has awaited something."""

    def compute(count: int) -> None:
        hold_until(lambda: len(told.warnings) == count)

    @task
    async def holds(event: tukio.Event) -> None:
        compute(1)
        await turns_until(lambda: told.ends)
        compute(2)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("holds"), {})
    first, second = told.warnings
    text = f"task 'holds' of workflow {run.uid} has held the event loop for more than 0."
    assert first.getMessage().startswith(text)
    assert "anyio.to_thread.run_sync(...)" in first.getMessage()
    fields = (run.uid, "flow", "holds")
    for record in (first, second):
        assert (record.tukio_run, record.tukio_template, record.tukio_task) == fields
    assert first.name == "tukio.watchdog"
    lines = str(first.stack_info).splitlines()
    assert "in holds" in lines[0]
    assert "in compute" in lines[2]
    assert "in hold_until" in str(first.stack_info)
    # The second one is told when the engine is left.
    for end in told.ends:
        assert "has let go of the event loop" in end.getMessage()
    assert [record.levelno for record in told.records] == [logging.WARNING, logging.INFO] * 2


async def test_g6_the_second_is_a_real_one(
    task: Tasks, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the clock of the loop says."""
    monkeypatch.setattr("tukio._loop.lookout.PERIOD", PERIOD)
    assert LOOKS * PERIOD == 1
    took: list[float] = []

    @task
    async def holds(event: tukio.Event) -> None:
        begun = time.monotonic()
        hold_until(lambda: told.warnings)
        took.append(time.monotonic() - begun)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("holds"), {})
    *_, seconds = told.warnings[0].args
    assert 1 <= seconds <= took[0] < LIMIT / 2


async def test_g6_it_is_named_again_at_growing_intervals(task: Tasks, told: Told) -> None:
    """After one second, two, four; and how long it was is told in the end."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: len(told.warnings) == 3)
        await turns_until(lambda: told.ends)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("holds"), {})
    *_, first, second, third = (record.created for record in told.warnings)
    assert third - second > 1.5 * SECOND
    assert second - first > 0.75 * SECOND
    [end] = told.ends
    *_, seconds = end.args
    assert seconds >= 4 * SECOND


@pytest.mark.parametrize("waits", [False, True])
async def test_g6_a_clean_up_is_named_as_its_task(task: Tasks, told: Told, waits: bool) -> None:
    """Be it sync or async."""

    @task
    class Holds(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(10)

        def teardown(self) -> Any:
            return tear_down_later() if waits else hold_until(lambda: told.warnings)

    async def tear_down_later() -> None:
        await anyio.lowlevel.checkpoint()
        hold_until(lambda: told.warnings)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Holds", limits={"Holds": 1}), {})
    [record] = told.warnings
    assert record.getMessage().startswith("task 'Holds' of workflow ")
    name = "tear_down_later" if waits else "teardown"
    assert f"in {name}" in str(record.stack_info).splitlines()[0]


async def test_g6_a_task_that_a_step_has_started_is_named_as_the_step(
    task: Tasks, told: Told
) -> None:
    """Its stack leads to no step, but its context does."""

    async def child() -> None:
        hold_until(lambda: told.warnings)

    @task
    async def parent(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("parent"), {})
    [record] = told.warnings
    assert record.getMessage().startswith("a task that task 'parent' of workflow ")
    assert "in child" in str(record.stack_info)
    assert "in test_" not in str(record.stack_info)


async def test_g6_a_holder_and_a_done_callback_are_named_as_the_task(
    task: Tasks, told: Told
) -> None:
    """All that is the code of a step."""

    @task
    class Holds:
        def __init__(self, config: Any) -> None:
            hold_until(lambda: told.warnings)

        async def execute(self, event: tukio.Event) -> None:
            step: Any = tukio.current_task()
            await turns_until(lambda: told.ends)
            step.add_done_callback(lambda _: hold_until(lambda: len(told.warnings) == 2))

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Holds"), {})
    assert [record.tukio_task for record in told.warnings] == ["Holds"] * 2
    assert "in __init__" in str(told.warnings[0].stack_info).splitlines()[0]


@pytest.mark.parametrize("kind", ["sync", "async", "async that awaits"])
@pytest.mark.parametrize("sender", ["main", "step"])
async def test_g6_a_handler_is_named(task: Tasks, told: Told, kind: str, sender: str) -> None:
    """Also while a step sends what it gets: the innermost one is to blame."""

    def handle(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    async def handle_later(event: tukio.Event) -> None:
        if kind == "async that awaits":
            await anyio.lowlevel.checkpoint()
        hold_until(lambda: told.warnings)

    @task
    async def sends(event: tukio.Event) -> None:
        tukio.get_broker().dispatch({}, "t")
        await anyio.sleep(1)

    handler = handle if kind == "sync" else handle_later
    async with tukio.Engine() as engine:
        engine.broker.register(handler, "t")
        if sender == "main":
            await engine.data_received({}, "t")
        else:
            await engine.run_once(flow("sends"), {})
    [record] = told.warnings
    name = f"{handler.__module__}.{handler.__qualname__}"
    assert record.getMessage().startswith(f"handler {name} has held the event loop for more than 0")
    assert f"in {handler.__name__}" in str(record.stack_info).splitlines()[0]


# Who is not named


async def test_g6_a_step_that_awaits_at_times_is_not_named(task: Tasks, told: Told) -> None:
    """However long it is at work in all."""

    @task
    async def works(event: tukio.Event) -> None:
        over = time.monotonic() + 6 * SECOND
        while time.monotonic() < over:
            hold_for(SECOND / 20)
            await anyio.lowlevel.checkpoint()

    async with tukio.Engine() as engine:
        await engine.run_once(flow("works"), {})
    assert told.records == []


async def test_g6_of_many_steps_in_one_turn_none_is_named(task: Tasks, told: Told) -> None:
    """Together they hold the loop; none of them does for so long."""

    @task
    async def works(event: tukio.Event) -> None:
        hold_for(SECOND / 4)

    names = {f"{n}": "works" for n in range(20)}
    async with tukio.Engine() as engine:
        await engine.run_once(flow(" ".join(names), names=names), {})
    assert told.records == []


async def test_g6_code_around_the_engine_is_not_named(task: Tasks, told: Told) -> None:
    """It is not ours to name, though steps are at work."""

    @task
    async def waits(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("waits"), {})
        await anyio.sleep(0.5)
        hold_for(2 * SECOND)
    hold_for(2 * SECOND)
    assert told.records == []


async def test_g6_a_step_that_has_started_a_run_is_not_named_for_that(
    task: Tasks, told: Told
) -> None:
    """The drivers of that run are tasks in the context of the step, but none of its own."""
    asked: list[Any] = []

    class Takes(Registry):
        def may_suspend(self, task_name: Any) -> bool:
            if task_name == "child":
                asked.append(task_name)
                hold_for(3 * SECOND)
            return super().may_suspend(task_name)

    own = Takes()

    async with tukio.Engine(registry=own) as engine:

        async def parent(event: tukio.Event) -> None:
            run: Any = await engine.run_once(flow("child"), {})
            await run.wait()

        async def child(event: tukio.Event) -> None:
            await anyio.sleep(1)

        for function in (parent, child):
            own.register(function, function.__name__)
        started: Any = await engine.run_once(flow("parent"), {})
        await started.wait()
    assert asked
    assert told.records == []


async def test_g6_a_step_in_a_thread_holds_no_loop(task: Tasks, told: Told) -> None:
    """That is what it is told to do instead."""

    @task
    async def works(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(hold_for, 3 * SECOND)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("works"), {})
    assert told.records == []


async def test_an_idle_loop_is_asked_for_nothing(
    task: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wakes it up, though it is looked at."""
    asked: list[Any] = []

    @task
    async def waits(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(hold_for, 3 * SECOND)

    async with tukio.Engine() as engine:
        backend: Any = engine._binding.backend
        monkeypatch.setattr(type(backend), "call_from_outside", lambda *args: asked.append(args))
        await engine.run_once(flow("waits"), {})
    assert asked == []


# The thread


async def test_g1_one_thread_looks_for_all_engines_and_ends_with_the_last() -> None:
    """None outlives the engines."""
    assert threads() == []
    async with tukio.Engine():
        [thread] = threads()
        assert thread.daemon
        async with tukio.Engine():
            assert threads() == [thread]
        assert threads() == [thread]
    assert threads() == []


async def test_g1_no_thread_outlives_an_engine_that_failed() -> None:
    """However the block is left."""
    with pytest.raises(LookupError):
        async with tukio.Engine():
            raise LookupError
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with tukio.Engine():
            pass
    assert threads() == []


def test_g6_loops_in_several_threads_are_looked_at_by_one(
    task: Tasks, told: Told, backend: str
) -> None:
    """One of them is held; that one is named, and the others go on."""
    entered, over = threading.Barrier(2), threading.Event()

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    async def main(name: str) -> None:
        async with tukio.Engine() as engine:
            entered.wait(LIMIT)
            if name == "held":
                await engine.run_once(flow("holds", id=name), {})
            else:
                await anyio.to_thread.run_sync(over.wait, LIMIT)

    options = {} if backend == "trio" else {"use_uvloop": backend == "uvloop"}
    run = partial(
        anyio.run, backend=backend if backend == "trio" else "asyncio", backend_options=options
    )
    other = threading.Thread(target=run, args=(main, "free"))
    other.start()
    run(main, "held")
    assert len(threads()) == 1
    over.set()
    other.join(LIMIT)
    [record] = told.warnings
    assert record.tukio_template == "held"
    assert threads() == []


async def test_no_thread_looks_if_nobody_wants_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the level of the logger when the engine is entered."""
    logging.getLogger("tukio.watchdog").setLevel(logging.ERROR)
    try:
        async with tukio.Engine():
            assert threads() == []
    finally:
        logging.getLogger("tukio.watchdog").setLevel(logging.NOTSET)


async def test_an_engine_goes_on_where_no_thread_can_be_started(
    task: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody looks."""

    def fail(thread: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    @task
    async def works(event: tukio.Event) -> None:
        pass

    monkeypatch.setattr(threading.Thread, "start", fail)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("works"), {})
        await run.wait()
        monkeypatch.undo()
    assert run.state is tukio.FutureState.finished


async def test_a_filter_that_raises_does_not_end_the_looks(task: Tasks, told: Told) -> None:
    """It loses its own message alone."""
    asked: list[int] = []

    def fails(record: logging.LogRecord) -> bool:
        asked.append(record.levelno)
        raise ValueError

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: len(asked) >= 2)

    log = logging.getLogger("tukio.watchdog")
    log.addFilter(fails)
    try:
        async with tukio.Engine() as engine:
            await engine.run_once(flow("holds"), {})
    finally:
        log.removeFilter(fails)
    assert told.records == []


async def test_what_goes_wrong_in_a_look_is_told_once(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends; the next engine has another one."""

    def fails(*args: Any) -> None:
        raise LookupError

    monkeypatch.setattr(LOOKOUT, "_search", fails)
    async with tukio.Engine():
        await turns_until(lambda: not threads())
        monkeypatch.undo()
        async with tukio.Engine():
            assert len(threads()) == 1
    [record] = told.of(logging.ERROR)
    assert "nobody looks any more" in record.getMessage()
    assert threads() == []


# Loose engines


@native
def test_g6_a_step_of_a_loose_engine_is_named(backend: str, task: Tasks, told: Told) -> None:
    """Also of one that was made before its loop ran; the thread ends with `stop`."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    loop = new_loop(backend)
    engine = tukio.Engine(loop=loop)
    run: Any = loop.run_until_complete(engine.run_once(flow("holds"), {}))
    loop.run_until_complete(run.wait())
    loop.run_until_complete(engine.stop())
    assert threads() == []
    loop.close()
    assert len(told.warnings) == 1


@native
def test_g6_a_loop_may_run_in_another_thread_than_its_engine_was_made_in(
    task: Tasks, told: Told
) -> None:
    """As asyncio's own loops tell."""

    @task
    async def holds(event: tukio.Event) -> None:
        hold_until(lambda: told.warnings)

    loop = asyncio.new_event_loop()
    engine = tukio.Engine(loop=loop)

    async def main() -> None:
        run: Any = await engine.run_once(flow("holds"), {})
        await run.wait()
        await engine.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    thread.join(LIMIT)
    loop.close()
    assert len(told.warnings) == 1
    assert threads() == []


@native
@pytest.mark.parametrize("end", ["closed", "forgotten"])
def test_g1_no_thread_outlives_a_loose_engine_that_was_never_stopped(
    backend: str, end: str
) -> None:
    """Once its loop is closed, or nobody has it any more: the lookout does not keep it."""
    loop = new_loop(backend)
    engine = tukio.Engine(loop=loop)
    trace = weakref.ref(engine._binding.backend)
    assert len(threads()) == 1
    if end == "closed":
        loop.close()
    else:
        del engine
        gc.collect()
        assert trace() is None
    hold_until(lambda: not threads())
    loop.close()


# The end of a program


def script(text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own."""
    return subprocess.run(
        [sys.executable, *options, "-c", text],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def test_a_program_ends_though_a_loose_engine_was_never_stopped() -> None:
    """Nothing waits for the thread, and nothing is said."""
    done = script(
        "import asyncio, tukio\n"
        "loop = asyncio.new_event_loop()\n"
        "engine = tukio.Engine(loop=loop)\n"
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "loop.close()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_child_of_a_fork_has_a_lookout_of_its_own() -> None:
    """And none of the loops of its parent."""
    done = script(
        "import asyncio, os, sys, threading, tukio\n"
        "from tukio._run.holding import LOOKOUT\n"
        "def names(): return [one.name for one in threading.enumerate()]\n"
        "async def child():\n"
        "    assert names() == ['MainThread'], names()\n"
        "    async with tukio.Engine():\n"
        "        assert len(LOOKOUT._loops) == 1\n"
        "        assert names() == ['MainThread', 'tukio lookout'], names()\n"
        "    assert names() == ['MainThread'], names()\n"
        "async def main():\n"
        "    async with tukio.Engine():\n"
        "        return os.fork()\n"
        "engine = tukio.Engine(loop=asyncio.new_event_loop())\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    asyncio.run(child())\n"
        "    sys.exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), names())\n",
        "-Wignore",
    )
    assert (done.stderr, done.stdout) == ("", "7 ['MainThread', 'tukio lookout']\n")
