"""Calls from other threads: `engine.from_thread`, and what is refused there.

A thread is invisible to virtual time, so these tests run on the real clock, and never sleep.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from support.real_time import LIMIT, run
from tukio._events.stream import EventStream
from tukio._step.parents import Parents
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished


def started(function: Callable[..., Any], *args: Any) -> Future[Any]:
    """Call a function in a thread that no event loop knows of."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a thread that no event loop knows of, and wait for it."""
    future = started(function, *args)
    return await anyio.to_thread.run_sync(partial(future.result, LIMIT), abandon_on_cancel=True)


def gate(task: Tasks) -> list[anyio.Event]:
    """Register a task that waits until the last event of a list is set."""
    gates: list[anyio.Event] = []

    @task
    async def a(event: tukio.Event) -> None:
        gates.append(anyio.Event())
        await gates[-1].wait()

    return gates


# from_thread --------------------------------------------------------------------------------------


def test_a_thread_starts_a_run_and_waits_for_it(task: Tasks, backend: str) -> None:
    """All of it happens where the engine is; the thread gets what comes of it."""
    where: list[threading.Thread] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        where.append(threading.current_thread())
        return {"n": event.data["n"] + 1}

    def work(engine: tukio.Engine) -> Any:
        assert threading.current_thread() is not threading.main_thread()
        (run,) = engine.from_thread(engine.data_received, {"n": 1}, "t")
        assert engine.from_thread(engine.data_received, {"n": 1}, "other") == []
        assert engine.from_thread(run.wait) is FINISHED
        return run.outputs

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.load(flow("a", topics=["t"]))
            assert await in_thread(work, engine) == {"a": {"n": 2}}

    run(backend, main)
    assert where == [threading.main_thread()]


def test_one_call_for_many_events(task: Tasks, backend: str) -> None:
    """A function of the user's own does as much as it likes where the engine runs."""
    got: list[int] = []

    @task
    async def a(event: tukio.Event) -> None:
        got.append(event.data["n"])

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.load(flow("a"))

            async def send(count: int, *, start: int) -> int:
                runs = [await engine.data_received({"n": start + n}) for n in range(count)]
                for (run,) in runs:
                    await run.wait()
                return len(engine.instances)

            assert await in_thread(engine.from_thread, partial(send, start=5), 100) == 0

    run(backend, main)
    assert sorted(got) == list(range(5, 105))


def test_many_threads_at_once(task: Tasks, backend: str) -> None:
    """Each event arrives once, and those of one thread in order."""
    got: list[tuple[int, int]] = []

    def work(engine: tukio.Engine, name: int) -> None:
        for n in range(20):
            engine.from_thread(engine.data_received, {"from": name, "n": n}, "t")

    async def main() -> None:
        async with tukio.Engine() as engine:
            engine.broker.register(lambda event: got.append((event.data["from"], event.data["n"])))
            async with anyio.create_task_group() as group:
                for name in range(5):
                    group.start_soon(in_thread, work, engine, name)

    run(backend, main)
    for thread in range(5):
        assert [n for name, n in got if name == thread] == list(range(20))
    assert len(got) == 100


def test_what_the_function_raises_comes_out_in_the_thread(task: Tasks, backend: str) -> None:
    """As it is, and the engine is none the worse."""
    gate(task)

    async def bad() -> None:
        raise LookupError("mine")

    async def main() -> None:
        async with tukio.Engine() as engine:
            with pytest.raises(LookupError, match="mine"):
                await in_thread(engine.from_thread, bad)
            with pytest.raises(ValueError, match="data must be a dict or Event"):
                await in_thread(engine.from_thread, engine.data_received, "text")
            with pytest.raises(tukio.UnknownTaskName):
                await in_thread(engine.from_thread, engine.run_once, flow("unknown"), {})
            assert not await in_thread(engine.from_thread, engine.trigger, "unknown", {})

    run(backend, main)


def test_a_thread_may_stop_the_engine(task: Tasks, backend: str) -> None:
    """And control a run, by a function of its own."""
    gate(task)

    def work(engine: tukio.Engine) -> list[Any]:
        async def control() -> list[Any]:
            run: Any = await engine.run_once(flow("a"), {})
            states = [run.suspend(), run.state.value, run.resume(), run.state.value]
            await engine.stop(force=True)
            return [*states, run.state.value]

        return engine.from_thread(control)

    async def main() -> None:
        async with tukio.Engine() as engine:
            assert await in_thread(work, engine) == [
                True,
                "suspended",
                True,
                "pending",
                "cancelled",
            ]
            assert engine.done()

    run(backend, main)


def test_a_task_s_own_thread_may_call_the_engine(task: Tasks, backend: str) -> None:
    """The engine goes on while a task waits for a thread that waits for the engine."""
    gates = gate(task)
    engines: list[tukio.Engine] = []

    @task
    async def blocking(event: tukio.Event) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(work)

    def work() -> dict[str, Any]:
        (engine,) = engines
        run: Any = engine.from_thread(engine.trigger, "flow", {})

        async def open_gate() -> None:
            while not gates:
                await anyio.lowlevel.checkpoint()
            gates[-1].set()

        engine.from_thread(open_gate)
        return {"ended": engine.from_thread(run.wait).value}

    async def main() -> None:
        async with tukio.Engine() as engine:
            engines.append(engine)
            await engine.load(flow("a"))
            run: Any = await engine.run_once(flow("blocking"), {})
            await run.wait()
            assert run.outputs == {"blocking": {"ended": "finished"}}

    run(backend, main)


def test_a_thread_works_with_an_engine_in_loose_mode(task: Tasks) -> None:
    """The loop may run in a thread of its own, as servers do it."""
    gate(task)
    loop = asyncio.new_event_loop()
    engine = tukio.Engine(loop=loop)
    server = started(loop.run_forever)
    run: Any = engine.from_thread(engine.run_once, flow("a"), {})
    with pytest.raises(tukio.EngineError):
        run.cancel()
    assert run.state is tukio.FutureState.pending

    async def stop() -> None:
        await engine.stop(force=True)

    engine.from_thread(stop)
    assert run.state is CANCELLED
    loop.call_soon_threadsafe(loop.stop)
    server.result(LIMIT)
    loop.close()


# What is refused ----------------------------------------------------------------------------------


def test_from_thread_is_refused_where_it_would_wait_for_itself(task: Tasks, backend: str) -> None:
    """In the block, in a task, in a handler: nothing is called."""
    called: list[str] = []
    refused: list[str] = []
    engines: list[tukio.Engine] = []

    async def call() -> None:
        called.append("called")

    def attempt() -> None:
        with pytest.raises(tukio.EngineError, match="await the method instead"):
            engines[0].from_thread(call)
        refused.append("refused")

    @task
    async def a(event: tukio.Event) -> None:
        attempt()

    async def main() -> None:
        async with tukio.Engine() as engine:
            engines.append(engine)
            attempt()
            engine.broker.register(lambda event: attempt())
            await engine.data_received({})
            run: Any = await engine.run_once(flow("a"), {})
            await run.wait()
            assert run.errors == {}

    run(backend, main)
    assert refused == ["refused"] * 3
    assert called == []


def test_from_thread_is_refused_before_the_engine_runs_anywhere() -> None:
    """It could not say where to call."""
    called: list[str] = []

    async def call() -> None:
        called.append("called")

    engine = tukio.Engine()
    with pytest.raises(tukio.EngineError, match="the engine runs nowhere yet"):
        engine.from_thread(call)
    assert called == []


def test_from_thread_is_refused_when_the_engine_s_loop_is_gone(backend: str) -> None:
    """As happens to a thread that outlives the program's main part: nothing is called."""
    called: list[str] = []
    engines: list[tukio.Engine] = []

    async def call() -> None:
        called.append("called")

    async def main() -> None:
        async with tukio.Engine() as engine:
            engines.append(engine)

    run(backend, main)
    with no_asyncio_errors(), pytest.raises(tukio.EngineError):
        engines[0].from_thread(call)
    assert called == []


@pytest.mark.parametrize("other", BACKENDS)
def test_from_thread_is_refused_in_another_event_loop(backend: str, other: str) -> None:
    """It would block that one; nothing is called."""
    called: list[str] = []

    async def call() -> None:
        called.append("called")

    async def main() -> None:
        async with tukio.Engine() as engine:

            async def elsewhere() -> None:
                with pytest.raises(tukio.EngineError):
                    engine.from_thread(call)

            await in_thread(run, other, elsewhere)

    run(backend, main)
    assert called == []


def step_of(run: Any) -> Any:
    """Return the step of a run that has one."""
    (step,) = run.tasks
    return step


EVENT = tukio.Event({"n": 1})

MISUSES: dict[str, Callable[[tukio.Engine, Any], Any]] = {
    "data_received": lambda engine, run: engine.data_received({"n": 1}, "t"),
    "trigger": lambda engine, run: engine.trigger("flow", {"n": 1}),
    "run_once": lambda engine, run: engine.run_once(flow("a"), {"n": 1}),
    "rescue": lambda engine, run: engine.rescue(flow("a"), {}),
    "stop": lambda engine, run: engine.stop(),
    "stop by force": lambda engine, run: engine.stop(force=True),
    "cancel": lambda engine, run: run.cancel(),
    "timeout": lambda engine, run: run.timeout(),
    "suspend": lambda engine, run: run.suspend(),
    "resume": lambda engine, run: run.resume(),
    "load": lambda engine, run: engine.load(flow("a")),
    "reload": lambda engine, run: engine.reload([]),
    "unload": lambda engine, run: engine.unload("flow"),
    "subscribe": lambda engine, run: engine.subscribe("t"),
    "await engine": lambda engine, run: engine,
    "register": lambda engine, run: engine.broker.register(print, "t"),
    "unregister": lambda engine, run: engine.broker.unregister(print),
    "dispatch": lambda engine, run: engine.broker.dispatch({"n": 1}, "t"),
    "wait": lambda engine, run: run.wait(),
    "await run": lambda engine, run: run,
    "unlock_when_task_done": lambda engine, run: run.unlock_when_task_done(step_of(run)),
    "await step": lambda engine, run: step_of(run),
    "add_done_callback": lambda engine, run: step_of(run).add_done_callback(print),
    "dispatch_progress": lambda engine, run: step_of(run).dispatch_progress({"n": 1}),
    "parents": lambda engine, run: step_of(run).parents(),
    "next parent": lambda engine, run: anext(Parents(step_of(run))),
    "step.data_received": lambda engine, run: step_of(run).data_received(EVENT),
    "put": lambda engine, run: step_of(run).queue.put(EVENT),
    "put_nowait": lambda engine, run: step_of(run).queue.put_nowait(EVENT),
    "get": lambda engine, run: step_of(run).queue.get(),
    "join": lambda engine, run: step_of(run).queue.join(),
    "task_done": lambda engine, run: step_of(run).queue.task_done(),
    "get_nowait": lambda engine, run: step_of(run).queue.get_nowait(),
    "unlock": lambda engine, run: run.unlock(),
    "release": lambda engine, run: run.lock.release(),
    "run": lambda engine, run: engine._binding.new_workflow(flow("a")).run({}),
    "fast_forward": lambda engine, run: run.fast_forward({}),
    "remove_done_callback": lambda engine, run: step_of(run).remove_done_callback(print),
    "leave a stream": lambda engine, run: EventStream(
        lambda: engine.broker, engine._binding.check, ("t",)
    ).__aexit__(),
}
"""Calls that are for the engine's own thread."""


@pytest.mark.parametrize("call", MISUSES)
@pytest.mark.parametrize("other", ["no loop", *BACKENDS])
def test_a_call_from_elsewhere_is_refused_and_does_nothing(
    task: Tasks, backend: str, call: str, other: str
) -> None:
    """From a thread without an event loop, or from another loop in another thread."""
    gates = gate(task)
    story: list[Any] = []

    async def main() -> None:
        async with tukio.Engine() as engine:
            await engine.load(flow("a", topics=["t"]))
            engine.broker.register(lambda event: story.append("heard"))
            run: Any = await engine.run_once(flow("a"), {})
            while not gates:
                await anyio.lowlevel.checkpoint()
            with pytest.raises(tukio.EngineError, match="another event loop or thread"):
                await in_thread(elsewhere, other, partial(MISUSES[call], engine, run))
            assert engine.instances == [run]
            assert step_of(run).queue.empty()
            gates[0].set()
            assert await run.wait() is FINISHED
            # The engine is not stopping, either.
            again: Any = await engine.trigger("flow", {})
            assert again.cancel()

    run(backend, main)
    assert story == []


def elsewhere(other: str, function: Callable[[], Any]) -> None:
    """Call a function, and await what it returns: in no event loop, or in another one."""

    async def call() -> None:
        result = function()
        if isawaitable(result):
            await result

    if other == "no loop":
        with suppress(StopIteration):
            call().send(None)
    else:
        run(other, call)


@pytest.mark.parametrize("name", ["cancel", "timeout"])
def test_a_task_is_not_cancelled_from_a_thread(task: Tasks, backend: str, name: str) -> None:
    """As little as its run: half a cancellation would be one that nothing can complete."""
    gates = gate(task)
    story: list[Any] = []

    async def main() -> None:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("a"), {})
            while not gates:
                await anyio.lowlevel.checkpoint()
            (step,) = run.tasks
            try:
                story.append(await in_thread(getattr(step, name)))
            except (tukio.EngineError, RuntimeError) as error:
                story.append(type(error))
            # Before anything is asserted: what was cancelled in part might never end by itself.
            gates[0].set()
        story.append(run.state)

    run(backend, main)
    assert story == [tukio.EngineError, FINISHED]


def test_dispatching_from_a_thread_is_refused_for_an_async_handler(backend: str) -> None:
    """Nothing is called, and the handler gets what is dispatched in the right place."""
    story: list[int] = []

    async def note(event: tukio.Event) -> None:
        story.append(event.data["n"])

    async def main() -> None:
        async with tukio.Engine() as engine:
            engine.broker.register(note)
            with pytest.raises(tukio.EngineError, match="another event loop or thread"):
                await in_thread(engine.broker.dispatch, {"n": 1})
            engine.broker.dispatch({"n": 2})
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            engine.broker.unregister(note)

    run(backend, main)
    assert story == [2]


# The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["normally", "failed"])
def test_a_thread_that_waits_is_told_when_the_engine_is_left(backend: str, how: str) -> None:
    """Its function is cancelled before the block is left, and may clean up."""
    story: list[str] = []
    threads: list[Future[Any]] = []

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            story.append("cancelled")

    async def main() -> None:
        with suppress(LookupError):
            async with tukio.Engine() as engine:
                threads.extend(started(engine.from_thread, wait) for _ in range(2))
                await anyio.sleep(0.02)
                if how == "failed":
                    raise LookupError
        assert story == ["cancelled"] * 2
        threads.append(started(engine.from_thread, wait))
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.02)

    run(backend, main)

    for thread in threads:
        with pytest.raises(tukio.EngineError, match="the engine is over"):
            thread.result(LIMIT)
    assert story == ["cancelled"] * 2


def test_a_call_that_does_not_let_itself_be_cancelled_does_not_keep_the_engine(
    backend: str,
) -> None:
    """It has as long as a clean-up."""
    threads: list[Future[Any]] = []
    gates: list[anyio.Event] = []

    async def stubborn() -> str:
        gates.append(anyio.Event())
        with anyio.CancelScope(shield=True):
            await gates[0].wait()
        return "done"

    async def main() -> None:
        async with tukio.Engine(cleanup_timeout=0.02) as engine:
            threads.append(started(engine.from_thread, stubborn))
            while not gates:
                await anyio.lowlevel.checkpoint()
        gates[0].set()
        await anyio.sleep(0.01)

    run(backend, main)
    assert threads[0].done()


def test_a_thread_that_waits_is_told_when_the_loop_of_a_loose_engine_stops() -> None:
    """It would wait for ever; one that stands still for a moment is waited for."""
    loop = asyncio.new_event_loop()
    engine = tukio.Engine(loop=loop)
    begun: list[str] = []

    async def wait() -> None:
        begun.append("begun")
        await asyncio.sleep(30)

    async def meanwhile() -> None:
        while not begun:
            await anyio.lowlevel.checkpoint()

    async def call() -> Future[Any]:
        return started(engine.from_thread, wait)

    thread = loop.run_until_complete(call())
    loop.run_until_complete(meanwhile())
    with pytest.raises(tukio.EngineError, match="not running"):
        thread.result(LIMIT)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_a_thread_that_calls_while_the_loop_ends_is_told() -> None:
    """As at the end of `asyncio.run`, which cancels what is there."""
    threads: list[Future[Any]] = []

    async def main() -> None:
        engine = tukio.Engine(loop=asyncio.get_running_loop())
        threads.append(started(engine.from_thread, partial(asyncio.sleep, 30)))
        await asyncio.sleep(0.02)

    asyncio.run(main())
    with pytest.raises(tukio.EngineError):
        threads[0].result(LIMIT)
