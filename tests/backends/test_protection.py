"""Ctrl-C on trio: never within the engine, always within users' code; real signals."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio

import tukio
from support.flow import Tasks, flow
from support.silence import silence
from tukio._model.guard import EXPOSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def in_the_foreground() -> Iterator[None]:
    """Take SIGINT as a program in the foreground does."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def press() -> bool:
    """Press Ctrl-C, and return True if that was held back."""
    signal.raise_signal(signal.SIGINT)
    return True


async def of_a_task(engine: tukio.Engine, task: Tasks, hit: Callable[[], object]) -> None:
    """Hit in a task, at once."""

    @task
    async def one(event: tukio.Event) -> None:
        hit()


async def of_a_task_later(engine: tukio.Engine, task: Tasks, hit: Callable[[], object]) -> None:
    """Hit in a task that has waited."""

    @task
    async def one(event: tukio.Event) -> None:
        await anyio.sleep(0)  # noqa: ASYNC115 - a wait, as any
        hit()


async def of_a_teardown(engine: tukio.Engine, task: Tasks, hit: Callable[[], object]) -> None:
    """Hit in a clean-up."""

    @task
    class one(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            tukio.current_task().cancel()
            await anyio.sleep(1)

        def teardown(self) -> None:
            hit()


async def of_a_handler(engine: tukio.Engine, task: Tasks, hit: Callable[[], object]) -> None:
    """Hit in a handler that is a function."""
    engine.broker.register(lambda event: hit(), tukio.EXEC_TOPIC)


async def of_an_async_handler(engine: tukio.Engine, task: Tasks, hit: Callable[[], object]) -> None:
    """Hit in a handler that is an async function."""

    async def handler(event: tukio.Event) -> None:
        hit()

    engine.broker.register(handler, tukio.EXEC_TOPIC)


CODE_OF_USERS = [of_a_task, of_a_task_later, of_a_teardown, of_a_handler, of_an_async_handler]


@pytest.mark.parametrize("arrange", CODE_OF_USERS)
def test_code_of_users_can_be_cut(task: Tasks, arrange: Any) -> None:
    """It may be in a loop without an end."""
    held_back: list[bool] = []

    @task
    async def idle(event: tukio.Event) -> None:
        pass

    async def main() -> None:
        async with tukio.Engine() as engine:
            await arrange(engine, task, lambda: held_back.append(press()))
            name = "idle" if "handler" in arrange.__name__ else "one"
            run: Any = await engine.run_once(flow(name), {})
            await run.wait()

    with silence(), pytest.raises(BaseException) as caught:
        trio.run(main)
    assert "KeyboardInterrupt" in repr(caught.value)
    assert held_back == []


def test_the_engine_is_not_cut(task: Tasks) -> None:
    """What it does in a turn is done to its end; the program ends when it waits next."""
    done: list[str] = []
    # Put back, for what is tested may be measured.
    measures = sys.gettrace()

    @task
    async def one(event: tukio.Event) -> None:
        await anyio.sleep(30)

    async def main() -> None:
        async with tukio.Engine() as engine:
            add, instances = engine._instances.add, engine._instances

            def press_and_add(run: Any) -> Any:
                # Called by the engine, with nothing of a user in between.
                sys.settrace(tracer)
                try:
                    return add(run)
                finally:
                    sys.settrace(measures)

            def tracer(frame: Any, event: str, arg: Any) -> Any:
                if frame.f_code.co_name == "add":
                    sys.settrace(measures)
                    done.append("pressed")
                    press()
                    done.append("held back")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(instances, "add", press_and_add)
                run: Any = await engine.run_once(flow("one"), {})
            done.append(run.state.value)
            await anyio.sleep(30)
            done.append("slept")

    with silence(), pytest.raises(KeyboardInterrupt):
        trio.run(main)
    assert done == ["pressed", "held back", "pending"]


def test_what_is_exposed_calls_users_code() -> None:
    """No more than a few: each line of these can be cut."""
    assert {code.co_name for code in EXPOSED} == {
        "_awaited",
        "_one_by_one",
        "_result_of_teardown",
        "serve",
        "attempt",
        "deliver",
        "one_by_one",
        "tell",
    }
