"""G2, G7: an error of any class, raised anywhere in a task, is kept, and harms nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen, step_of
from tukio.testing import Timeline, check_guarantees

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


class Evil(Exception):
    """Raises whatever it is asked."""

    def __bool__(self) -> bool:
        raise ValueError

    def __str__(self) -> str:
        raise asyncio.CancelledError

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise ValueError

    __hash__ = None  # type: ignore[assignment]  # cannot be in a set either


class EvilGroup(ExceptionGroup[Exception]):
    """Cannot be split."""

    def derive(self, excs: Any) -> Any:
        """Fail, as does whoever splits this."""
        del excs
        raise LookupError

    subgroup = split = derive


def nested(depth: int) -> BaseException:
    """Return a group in a group in a group."""
    error: BaseException = ValueError("innermost")
    for _ in range(depth):
        error = BaseExceptionGroup("deep", [LookupError(), error])
    return error


def caused(length: int) -> BaseException:
    """Return the last of many errors, each the cause of the next."""
    error = ValueError("first")
    for _ in range(length):
        effect = ValueError("effect")
        effect.__cause__, error = error, effect
    return error


ERRORS: dict[str, Callable[[], BaseException]] = {
    "plain": ValueError,
    "evil": lambda: Evil("why"),
    "a group with it": lambda: ExceptionGroup("evil", [Evil("why"), ValueError()]),
    "an evil group": lambda: EvilGroup("evil", [ValueError(), Evil("why")]),
    "nested": lambda: nested(300),
    "nested too deeply": lambda: nested(5_000),
    "caused": lambda: caused(2_000),
    "no exception": BaseException,
    "of generators": GeneratorExit,
    "of async iterators": StopAsyncIteration,
}


PLACES = ["at once", "late", "unwinding", "teardown"]


class Raises(tukio.TaskHolder):
    """Raises an error in one place."""

    error: BaseException
    place: str

    async def execute(self, event: tukio.Event) -> None:
        """Raise before anything is awaited, or afterwards, or in place of the cancellation."""
        if self.place == "at once":
            raise self.error
        await anyio.sleep(1)
        if self.place == "late":
            raise self.error
        try:
            await anyio.sleep(30)
        finally:
            if self.place == "unwinding":
                raise self.error

    async def teardown(self) -> None:
        """Raise, if this is the place."""
        await anyio.sleep(1)
        if self.place == "teardown":
            raise self.error

    def report(self) -> Any:
        """Raise always."""
        raise self.error


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("place", PLACES)
async def test_g7_an_error_of_any_class_is_kept_and_harms_nothing_else(
    task: Tasks, place: str, name: str
) -> None:
    """The very object; the step ends as it would, the report is made, and others go on."""
    error = ERRORS[name]()
    task(Raises)

    @task
    async def other(event: tukio.Event) -> None:
        await anyio.sleep(5)

    names = {"root": "other", "a": "Raises", "b": "other"}
    Raises.error, Raises.place = error, place
    async with tukio.Engine() as engine:
        timeline = Timeline.of(engine)
        story = listen(engine)
        template = flow({"root": ["a", "b"]}, names=names, limits={"a": 2})
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is tukio.FutureState.finished

    assert list(run.errors) == ["a"]
    assert run.errors["a"] is error
    ending = "timeout" if place == "teardown" else "error"
    assert [kind for kind, uid, _ in story if uid == "a"] == ["task-begin", f"task-{ending}"]
    assert step_of(run, "a").done()
    assert step_of(run, "b").state is tukio.FutureState.finished
    [told] = [one["exec"] for one in run.report()["tasks"] if one["id"] == "a"]
    assert told["error"]["type"] == type(error).__name__
    assert told["reporting"] is None
    check_guarantees(run, timeline)


@pytest.mark.parametrize("name", ["of generators", "evil"])
async def test_g7_an_error_of_a_clean_up_that_awaits_nothing_is_kept(
    task: Tasks, name: str
) -> None:
    """Also one that looks as if the loop were gone."""
    error = ERRORS[name]()

    @task
    class a(tukio.TaskHolder):  # noqa: N801 - named like a task
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        def teardown(self) -> None:
            raise error

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", limits={"a": 1}), {})
        assert await run.wait() is tukio.FutureState.finished

    assert run.errors["a"] is error
    assert step_of(run, "a").state is tukio.FutureState.timeout


async def raised_beside_a_cancellation(task: Tasks, error: BaseException) -> None:
    """Cut a step of which another task raises an error meanwhile, and hold that it is kept."""

    async def fails() -> None:
        try:
            await anyio.sleep(30)
        finally:
            raise error

    @task
    async def a(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fails)
            await anyio.sleep(30)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", timeout=1), {})
        await run.wait()
        assert engine.instances == []

    assert list(run.errors) == ["a"]
    assert step_of(run, "a").done()
    assert run.report()


# Trio itself breaks down where a nursery of the user's own gets one of these.
BREAK_TRIO = ["evil", "a group with it", "an evil group", "nested too deeply"]


@pytest.mark.parametrize("name", sorted(ERRORS.keys() - {*BREAK_TRIO}))
async def test_g7_an_error_of_any_class_beside_a_cancellation_is_kept(
    task: Tasks, name: str
) -> None:
    """As any other one would be."""
    await raised_beside_a_cancellation(task, ERRORS[name]())


@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.parametrize("name", BREAK_TRIO)
async def test_g7_so_is_one_that_trio_itself_cannot_take(task: Tasks, name: str) -> None:
    """On asyncio the group of such a task is only handed on."""
    await raised_beside_a_cancellation(task, ERRORS[name]())
