"""An engine beside other code: blocks left in another task, tasks in pure Python, nested engines.

Where it cannot work as it should, an `EngineError` says so, and what to do instead.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors, no_leaks
from support.native import current
from tukio._backends.asyncio import workflow as asyncio_workflow
from tukio._loop.running import running_backend
from tukio.broker import get_broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

native = pytest.mark.backends("asyncio", "uvloop")


@pytest.fixture
def story(task: Tasks) -> list[str]:
    """Register `Slow`, which takes a second to clean up after itself; return what happens."""
    told: list[str] = []

    @task
    class Slow(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(0.02)
            told.append("worked")

        async def teardown(self) -> None:
            await anyio.sleep(0.01)
            told.append("torn down")

    return told


# Left in another task ----------------------------------------------------------------------------


def test_an_engine_that_is_entered_in_one_task_and_left_in_another_says_so(
    story: list[str],
) -> None:
    """As a fixture of pytest-asyncio, whose first task is over by then; nothing is left of it."""
    loop = asyncio.new_event_loop()
    engine = tukio.Engine()

    async def use() -> Any:
        return await engine.run_once(flow("Slow"), {})

    async def leave() -> None:
        async with no_leaks():
            with pytest.raises(tukio.EngineError, match="left in the task that entered it"):
                await engine.__aexit__(None, None, None)

    async def is_empty() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() - {current()}}

    with no_asyncio_errors():
        loop.run_until_complete(engine.__aenter__())
        run = loop.run_until_complete(use())
        loop.run_until_complete(leave())
        assert loop.run_until_complete(is_empty()) == set()
        assert loop.get_task_factory() is None
        loop.close()
    assert story == ["worked"]
    assert run.state is tukio.FutureState.finished


@native
@pytest.mark.parametrize("fails", [False, True])
async def test_an_engine_that_is_left_for_another_task_lets_that_one_go_on(
    story: list[str], *, fails: bool
) -> None:
    """Its scopes around the block can be left as ever, and be cancelled."""
    factory = asyncio.get_running_loop().get_task_factory()
    engine = tukio.Engine()
    error = LookupError() if fails else None

    async def leave() -> None:
        with pytest.raises(tukio.EngineError, match="pytest-asyncio"):
            await engine.__aexit__(type(error) if error else None, error, None)

    with anyio.move_on_after(5) as scope:
        await engine.__aenter__()
        run: Any = await engine.run_once(flow("Slow"), {})
        await anyio.sleep(0.001)
        leaver = asyncio.create_task(leave())
        await leaver
        assert story == (["torn down"] if fails else ["worked"])
        assert run.done()
        assert asyncio.get_running_loop().get_task_factory() is factory
        scope.cancel()
        await anyio.lowlevel.checkpoint()
        story.append("went on")
    assert scope.cancelled_caught
    assert "went on" not in story


async def test_the_task_that_entered_an_engine_may_leave_it_after_another_one_tried(
    story: list[str],
) -> None:
    """On every backend, and from within a scope of its own."""
    engine = tukio.Engine()

    async def leave() -> None:
        with pytest.raises(tukio.EngineError, match="left in the task that entered it"):
            await engine.__aexit__(None, None, None)

    with anyio.CancelScope():
        await engine.__aenter__()
        await engine.run_once(flow("Slow"), {})
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
        assert story == ["worked"]
        await engine.__aexit__(None, None, None)
    await anyio.lowlevel.checkpoint()


async def test_an_engine_is_not_left_from_another_thread(story: list[str], backend: str) -> None:
    """It would wait there for ever; here it goes on."""
    name = "trio" if backend == "trio" else "asyncio"
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Slow"), {})

        def elsewhere() -> None:
            with pytest.raises(tukio.EngineError, match="another event loop or thread"):
                anyio.run(engine.__aexit__, None, None, None, backend=name)

        in_thread(elsewhere)
        assert not run.done()
    assert story == ["worked"]


def in_thread(function: Callable[[], None]) -> None:
    """Call a function in a thread, and block until it is over."""
    future: Future[None] = Future()

    def work() -> None:
        try:
            function()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - raised below
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    future.result(10)


WAITS: dict[str, Callable[[tukio.Engine, Any, Any, Any], Awaitable[Any]]] = {
    "run.wait": lambda engine, run, step, stream: run.wait(),
    "run": lambda engine, run, step, stream: run,
    "step": lambda engine, run, step, stream: step,
    "engine": lambda engine, run, step, stream: engine,
    "stop": lambda engine, run, step, stream: engine.stop(),
    "stream": lambda engine, run, step, stream: anext(stream),
    "entered": lambda engine, run, step, stream: engine.subscribe("t").__aenter__(),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("other", ["asyncio", "trio"])
async def test_waiting_in_another_loop_is_refused_at_once(
    story: list[str], wait: str, other: str
) -> None:
    """Nobody would wake whoever waits there."""
    async with tukio.Engine() as engine, engine.subscribe("t") as stream:
        run: Any = await engine.run_once(flow("Slow"), {})
        await anyio.sleep(0.001)
        (step,) = run.tasks

        async def call() -> None:
            with anyio.fail_after(5):
                await WAITS[wait](engine, run, step, stream)

        def elsewhere() -> None:
            with pytest.raises(tukio.EngineError, match="another event loop or thread"):
                anyio.run(call, backend=other)

        in_thread(elsewhere)
    assert story == ["worked"]


@native
async def test_an_engine_that_is_left_twice_has_nothing_to_leave(story: list[str]) -> None:
    """As by code that closes what was closed already."""
    engine = tukio.Engine()
    await engine.__aenter__()
    await engine.run_once(flow("Slow"), {})
    await engine.__aexit__(None, None, None)
    await engine.__aexit__(None, None, None)
    assert story == ["worked"]
    await anyio.lowlevel.checkpoint()


@native
async def test_an_engine_that_is_entered_outside_of_any_task_leaves_nothing() -> None:
    """In a callback there is no task that its block could be in; it is said before anything is."""
    loop = asyncio.get_running_loop()
    factory, broker = loop.get_task_factory(), get_broker()
    told: asyncio.Future[Any] = loop.create_future()

    def enter() -> None:
        try:
            tukio.Engine().__aenter__().send(None)
        except Exception as error:  # noqa: BLE001 - it is that of anyio
            told.set_result((error, get_broker()))

    loop.call_soon(enter)
    _, seen = await told
    assert seen is broker
    assert loop.get_task_factory() is factory


@native
# anyio has made the coroutine in vain, as that of any child of a group.
@pytest.mark.filterwarnings("ignore:coroutine 'AsyncioTree._supervise' was never awaited")
async def test_an_engine_whose_tasks_are_all_cancelled_before_they_begin_can_be_left() -> None:
    """As by a program that ends in the very turn in which the block was entered."""
    async with tukio.Engine() as engine:
        for other in asyncio.all_tasks() - {current()}:
            other.cancel()
        assert engine.instances == []
    await anyio.lowlevel.checkpoint()


# Modules and classes of others -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trio", "trio.lowlevel", "asyncio"])
def test_a_module_may_be_half_imported_by_another_thread(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is among the modules before it is whole."""
    monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    assert running_backend() is None
    inbox = tukio.task.Inbox()
    with pytest.raises(anyio.WouldBlock):
        inbox.get_nowait()


async def test_runs_do_not_ask_asyncio_for_the_class_that_they_are(
    task: Tasks, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """A loop that is patched to nest puts classes in pure Python there, at any time."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    if backend != "trio":
        monkeypatch.setattr(asyncio, "Task", asyncio.tasks._PyTask)  # type: ignore[attr-defined]
        monkeypatch.setattr(asyncio, "Future", asyncio.futures._PyFuture)  # type: ignore[attr-defined]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})
        await anyio.sleep(0.01)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled
        again: Any = await engine.run_once(flow("a", timeout=0.01), {})
        assert await again.wait() is tukio.FutureState.timeout


IN_PURE_PYTHON = """
import asyncio

asyncio.Future = asyncio.futures.Future = asyncio.futures._PyFuture
asyncio.Task = asyncio.tasks.Task = asyncio.tasks._PyTask

import tukio

@tukio.register("a")
async def a(event):
    await asyncio.sleep(0.001)
    return {"n": 1}

async def main():
    async with tukio.Engine() as engine:
        template = tukio.WorkflowTemplate.from_dict({"tasks": [{"id": "a", "name": "a"}]})
        run = await engine.run_once(template, {})
        assert isinstance(run, asyncio.Future)
        assert await run == set(run.tasks)
        assert run.outputs == {"a": {"n": 1}}

asyncio.run(main())
"""


def test_runs_may_be_futures_in_pure_python() -> None:
    """As on a Python without those in C, or where they were replaced before tukio came."""
    ended = subprocess.run([sys.executable, "-c", IN_PURE_PYTHON], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_no_field_of_a_run_has_the_name_of_one_of_a_future_in_pure_python() -> None:
    """Else the one would overwrite the other."""
    future = asyncio.futures._PyFuture(loop=asyncio.new_event_loop())  # type: ignore[attr-defined]
    theirs = {name for name in dir(future) if not name.startswith("__")}
    future.get_loop().close()
    assert theirs.isdisjoint(asyncio_workflow.AsyncioWorkflow.__slots__)


# An engine within a step of another one ----------------------------------------------------------


async def test_code_finds_the_engine_that_it_is_innermost_in(task: Tasks) -> None:
    """Its broker, and its task, in blocks and steps within each other."""
    found: dict[str, Any] = {}
    brokers: dict[str, Any] = {}

    @task
    async def inner(event: tukio.Event) -> None:
        found["inner"] = get_broker()
        found["inner task"] = tukio.current_task().template.uid

    @task
    async def outer(event: tukio.Event) -> None:
        found["outer"] = get_broker()
        async with tukio.Engine() as engine:
            brokers["inner"] = engine.broker
            found["block in outer"] = get_broker()
            found["task of the block"] = tukio.current_task().template.uid
            await (await engine.run_once(flow("inner"), {})).wait()
            # The run of another engine is not in this block, although it was started here.
            await (await around.run_once(flow("other"), {})).wait()
        found["after"] = get_broker()

    @task
    async def other(event: tukio.Event) -> None:
        found["other"] = get_broker()

    async with tukio.Engine() as around:
        brokers["outer"] = around.broker
        await (await around.run_once(flow("outer"), {})).wait()
        found["block"] = get_broker()

    ours, within = brokers["outer"], brokers["inner"]
    assert found == {
        "outer": ours,
        "block in outer": within,
        "task of the block": "outer",
        "inner": within,
        "inner task": "inner",
        "other": ours,
        "after": ours,
        "block": ours,
    }


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelling_the_outer_run_leaves_the_inner_engine_whole(
    task: Tasks, story: list[str], backend: str, times: int
) -> None:
    """However often it is asked for, by the run or natively."""
    hosts: list[Any] = []

    @task
    async def outer(event: tukio.Event) -> None:
        hosts.append(current() if backend != "trio" else None)
        try:
            async with tukio.Engine() as engine:
                await engine.run_once(flow("Slow"), {})
        finally:
            story.append("inner left")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("outer"), {})
        await anyio.sleep(0.005)
        for _ in range(times):
            run.cancel()
            if backend != "trio":
                hosts[0].cancel()
            await anyio.sleep(0.001)
        assert await run.wait() is tukio.FutureState.cancelled

    assert story == ["torn down", "inner left"]
