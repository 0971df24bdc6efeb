"""Calls of `engine.from_thread` out of the thread of a step: they are cut with the step.

A thread is invisible to virtual time, so these tests run on the real clock.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.real_time import LIMIT, run, until
from tukio.testing.clock import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

every_backend = pytest.mark.parametrize("backend", BACKENDS)

SOON = 5
"""Real seconds that a test takes at most; that of what is never cut is `LIMIT`."""

colour: ContextVar[str] = ContextVar("colour", default="none")


class Call:
    """A step whose thread waits for a function of the event loop."""

    def __init__(self, task: Tasks) -> None:
        self.story: list[str] = []
        self.may_end: anyio.Event | None = None

        async def wait() -> str:
            self.may_end = anyio.Event()
            self.story.append("begun")
            try:
                await self.may_end.wait()
                self.story.append("done")
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.01)
                    self.story.append("cleaned up")
            return "result"

        def work(engine: tukio.Engine) -> dict[str, Any]:
            return {"got": engine.from_thread(wait)}

        @task
        async def a(event: tukio.Event) -> dict[str, Any]:
            return await anyio.to_thread.run_sync(work, tukio.current_engine())

    async def has_begun(self) -> None:
        """Wait until the function is at work."""
        await until(lambda: self.story)


CUTS: dict[str, Callable[[tukio.Workflow], object]] = {
    "the run is cancelled": lambda it: it.cancel(),
    "the run is cut as at its limit": lambda it: it.timeout(),
    "the task is cancelled": lambda it: next(iter(it.tasks)).cancel(),
    "the task is cut as at its limit": lambda it: next(iter(it.tasks)).timeout(),
}


@every_backend
@pytest.mark.parametrize("cut", CUTS)
def test_it_is_cut_with_its_step(task: Tasks, backend: str, cut: str) -> None:
    """It may clean up, and then the step is over."""
    call = Call(task)

    async def main() -> None:
        with anyio.fail_after(SOON):
            async with tukio.Engine() as engine:
                it: Any = await engine.run_once(flow("a"), {})
                await call.has_begun()
                CUTS[cut](it)
                await it.wait()
                assert call.story == ["begun", "cleaned up"]
        [step] = it.tasks
        assert step.state.value == ("timeout" if cut.startswith("the task is cut") else "cancelled")

    run(backend, main)


@every_backend
@pytest.mark.parametrize("how", ["left by an error", "stopped", "task at its limit"])
def test_it_does_not_hold_up_its_engine(task: Tasks, backend: str, how: str) -> None:
    """However that comes to its end."""
    call = Call(task)

    async def main() -> None:
        template = flow("a")
        if how == "task at its limit":
            template.tasks[0].timeout = 0.1
        with anyio.fail_after(SOON), suppress(LookupError):
            async with tukio.Engine() as engine:
                await engine.run_once(template, {})
                await call.has_begun()
                if how == "left by an error":
                    raise LookupError
                if how == "stopped":
                    await engine.stop(force=True)
        assert call.story == ["begun", "cleaned up"]

    run(backend, main)


@every_backend
def test_it_is_not_cut_otherwise(task: Tasks, backend: str) -> None:
    """The thread gets its result, and a suspended step has it cut and begins anew."""
    call = Call(task)

    async def main() -> None:
        async with tukio.Engine() as engine:
            it: Any = await engine.run_once(flow("a"), {})
            await call.has_begun()
            it.suspend()
            await until(lambda: "cleaned up" in call.story)
            call.story.clear()
            it.resume()
            await call.has_begun()
            await anyio.sleep(0.05)
            assert call.may_end is not None
            call.may_end.set()
            await it.wait(check=True)
            assert it.outputs == {"a": {"got": "result"}}
        assert call.story == ["begun", "done", "cleaned up"]

    run(backend, main)


@every_backend
def test_one_of_a_thread_that_the_thread_of_a_step_waits_for_is_cut_with_the_engine(
    task: Tasks, backend: str
) -> None:
    """Nobody knows that the step waits for it, so it is cut before the steps are waited for."""
    ended: list[BaseException] = []
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await anyio.sleep_forever()

    def call(engine: tukio.Engine) -> None:
        try:
            engine.from_thread(wait)
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    def work(engine: tukio.Engine) -> None:
        thread = threading.Thread(target=call, args=(engine,))
        thread.start()
        thread.join(LIMIT)

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(work, tukio.current_engine())

    async def main() -> None:
        with anyio.fail_after(SOON), suppress(LookupError):
            async with tukio.Engine() as engine:
                await engine.run_once(flow("a"), {})
                await until(begun.is_set)
                raise LookupError
        [error] = ended
        assert isinstance(error, tukio.EngineError)

    run(backend, main)


@every_backend
def test_a_cut_comes_before_the_function_begins(task: Tasks, backend: str) -> None:
    """Then nothing is called."""
    called: list[str] = []
    asks, may_ask = threading.Event(), threading.Event()

    async def function() -> None:
        called.append("called")

    def work(engine: tukio.Engine) -> None:
        asks.set()
        may_ask.wait(LIMIT)
        engine.from_thread(function)

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.to_thread.run_sync(work, tukio.current_engine())

    async def main() -> None:
        async with tukio.Engine() as engine:
            it: Any = await engine.run_once(flow("a"), {})
            await until(asks.is_set)
            it.cancel()
            await anyio.sleep(0.02)
            may_ask.set()
            assert (await it.wait()).value == "cancelled"

    run(backend, main)
    assert called == []


@every_backend
def test_the_function_has_the_context_of_the_thread(task: Tasks, backend: str) -> None:
    """What the thread has set is there, and what the function sets is not in the step."""
    seen: list[str] = []

    async def function() -> None:
        seen.append(colour.get())
        await anyio.lowlevel.checkpoint()
        colour.set("of the function")
        seen.append(tukio.current_task().template.uid)

    def work(engine: tukio.Engine) -> None:
        colour.set("of the thread")
        engine.from_thread(function)
        seen.append(colour.get())

    @task
    async def a(event: tukio.Event) -> None:
        colour.set("of the step")
        await anyio.to_thread.run_sync(work, tukio.current_engine())
        seen.append(colour.get())

    async def main() -> None:
        async with tukio.Engine() as engine:
            it: Any = await engine.run_once(flow("a"), {})
            await it.wait()
            assert it.errors == {}

    run(backend, main)
    assert seen == ["of the thread", "a", "of the thread", "of the step"]


@every_backend
@pytest.mark.parametrize("other", BACKENDS)
def test_the_engine_may_be_in_another_event_loop(task: Tasks, backend: str, other: str) -> None:
    """The thread of a step of one engine may call another one."""
    engines: list[tukio.Engine] = []
    over = threading.Event()
    begun = threading.Event()

    async def serve() -> None:
        async with tukio.Engine() as engine:
            engines.append(engine)
            begun.set()
            await until(over.is_set)

    async def where() -> int:
        return threading.get_ident()

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        return {"n": await anyio.to_thread.run_sync(engines[0].from_thread, where)}

    async def main() -> None:
        async with tukio.Engine() as engine:
            it: Any = await engine.run_once(flow("a"), {})
            await it.wait()
            assert it.outputs == {"a": {"n": server.ident}}

    server = threading.Thread(target=run, args=(other, serve))
    server.start()
    try:
        begun.wait(LIMIT)
        run(backend, main)
    finally:
        over.set()
        server.join(LIMIT)
