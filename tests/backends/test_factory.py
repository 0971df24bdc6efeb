"""The task factory: which tasks become a `TukioTask`, and how it gets on with others.

The engine itself works without it; these tests are about users' code that relies on it.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.native import current_tukio_task
from tukio.task import TukioTask, new_task, tukio_factory
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

EAGER = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="asyncio has eager tasks since Python 3.12"
)


async def plain() -> str:
    """Do what no workflow knows of."""
    await asyncio.sleep(1)
    return "plain"


async def test_a_registered_coroutine_becomes_a_tukio_task_and_no_other(task: Tasks) -> None:
    """Only while there is an engine; unrelated tasks are exactly what they were (B50)."""

    @task
    async def a(event: Any) -> Any:
        return asyncio.current_task()

    loop = asyncio.get_running_loop()
    assert loop.get_task_factory() is None
    async with tukio.Engine():
        first, second = loop.create_task(a({})), asyncio.create_task(a({}))
        for alone in (first, second):
            assert isinstance(alone, TukioTask)
            assert await alone is alone
        other = loop.create_task(plain())
        assert type(other) is asyncio.Task
        assert await other == "plain"
    assert loop.get_task_factory() is None
    after = loop.create_task(a({}))
    assert type(after) is asyncio.Task
    await after


@pytest.mark.parametrize("registered", [True, False])
async def test_a_name_and_a_context_reach_the_task(task: Tasks, registered: bool) -> None:
    """Loops differ in which keywords they hand to a factory."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    context = copy_context()
    context.run(variable.set, "given")

    @task
    async def a(event: object = None) -> str:
        return variable.get()

    async def other() -> str:
        return variable.get()

    function = a if registered else other
    async with tukio.Engine():
        loop = asyncio.get_running_loop()
        named = loop.create_task(function(), name="mine", context=context)
        assert isinstance(named, TukioTask) is registered
        assert named.get_name() == "mine"
        assert await named == "given"
        unnamed = asyncio.create_task(function())
        assert await unnamed == "none"
        async with asyncio.TaskGroup() as group:
            child = group.create_task(function(), name="child", context=context)
        assert (child.get_name(), child.result()) == ("child", "given")


async def test_keywords_that_say_nothing_are_left_out(task: Tasks) -> None:
    """Some loops pass None for each keyword they know, this Python's `Task` knowing it or not."""

    @task
    async def a(event: object = None) -> str:
        return "a"

    loop = asyncio.get_running_loop()
    nothing = {"name": None, "context": None, "eager_start": None}
    alone = tukio_factory(loop, a(), **nothing)
    other = tukio_factory(loop, plain(), **nothing)
    assert isinstance(alone, TukioTask)
    assert type(other) is asyncio.Task
    assert list(await asyncio.gather(alone, other)) == ["a", "plain"]


class OtherTask(asyncio.Task[Any]):
    """What another library's factory makes."""


def old_factory(loop: Any, coro: Any) -> OtherTask:
    """Make a task as factories did before there were keywords."""
    return OtherTask(coro, loop=loop)


def new_factory(loop: Any, coro: Any, **kwargs: Any) -> OtherTask:
    """Make a task as factories do now."""
    return OtherTask(coro, loop=loop, **kwargs)


@pytest.mark.parametrize("factory", [old_factory, new_factory])
async def test_a_factory_that_was_there_first_goes_on_making_the_others(
    task: Tasks, factory: Any
) -> None:
    """And is alone again when the engine has gone."""

    @task
    async def a(event: object = None) -> str:
        return "a"

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    async with tukio.Engine() as engine:
        other, alone = loop.create_task(plain(), name="other"), loop.create_task(a())
        assert type(other) is OtherTask
        assert type(alone) is TukioTask
        assert other.get_name() == "other"
        assert list(await asyncio.gather(other, alone)) == ["plain", "a"]
        run = await engine.run_once(flow("a"), {})
        await run.wait()
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_engines_on_a_loop_share_one_factory(task: Tasks, order: tuple[int, int]) -> None:
    """It stays until the last of them has gone, in whichever order they go."""

    @task
    async def a(event: object = None) -> str:
        return "a"

    async def live(number: int) -> None:
        async with tukio.Engine():
            await leave[number].wait()

    loop = asyncio.get_running_loop()
    leave = [asyncio.Event(), asyncio.Event()]
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(live(0)), group.create_task(live(1))]
        await settle()
        ours = loop.get_task_factory()
        assert ours is not None
        for number in order:
            assert loop.get_task_factory() is ours
            assert isinstance(group.create_task(a()), TukioTask)
            leave[number].set()
            await lives[number]
    assert loop.get_task_factory() is None


@pytest.mark.parametrize("chained", [True, False])
async def test_a_factory_set_after_ours_changes_nothing_for_the_engine(
    task: Tasks, chained: bool
) -> None:
    """Hosts are made without it, and it is not ours to take away: not even one dressed as ours."""

    @task
    async def a(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(1)
        async with anyio.create_task_group() as group:
            group.start_soon(plain)
        return {"uid": current_tukio_task().template.uid}

    loop = asyncio.get_running_loop()
    async with tukio.Engine() as engine:
        ours: Any = loop.get_task_factory()

        def theirs(loop: Any, coro: Any, **kwargs: Any) -> Any:
            return ours(loop, coro, **kwargs) if chained else new_factory(loop, coro, **kwargs)

        functools.update_wrapper(theirs, ours)
        loop.set_task_factory(theirs)
        run = await engine.run_once(flow("a"), {})
        await run.wait()
    assert loop.get_task_factory() is theirs
    assert run.outputs == {"a": {"uid": "a"}}
    # A chain of factories goes on working without its engine.
    assert type(loop.create_task(plain())) is (asyncio.Task if chained else OtherTask)
    await asyncio.sleep(1)


async def test_an_engine_above_a_chain_that_has_ours_in_it(task: Tasks) -> None:
    """Ours, theirs, ours again: each leaves in its turn, and what is theirs stays."""

    @task
    async def a(event: object = None) -> str:
        return "a"

    loop = asyncio.get_running_loop()
    async with tukio.Engine():
        ours: Any = loop.get_task_factory()
        theirs = functools.partial(ours)
        loop.set_task_factory(theirs)
        async with tukio.Engine():
            assert loop.get_task_factory() is not theirs
            assert isinstance(loop.create_task(a()), TukioTask)
            assert type(loop.create_task(plain())) is asyncio.Task
            await asyncio.sleep(1)
        assert loop.get_task_factory() is theirs
    assert loop.get_task_factory() is theirs


# Eager factories


def eager_factories() -> list[Any]:
    """Return the eager factory of asyncio and one of a user's own making."""
    if sys.version_info < (3, 12):
        return [None, None]
    return [asyncio.eager_task_factory, asyncio.create_eager_task_factory(OtherTask)]


@EAGER
@pytest.mark.backends("asyncio")
@pytest.mark.parametrize("which", [0, 1], ids=["asyncio's", "a user's"])
async def test_over_an_eager_factory_ours_is_eager(task: Tasks, which: int) -> None:
    """Users' own tasks begin at once as before, registered or not; hosts never do."""
    begun: list[str] = []

    @task
    async def a(event: Any) -> Any:
        begun.append("a")
        return asyncio.current_task()

    async def other() -> None:
        begun.append("other")

    factory = eager_factories()[which]
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    async with tukio.Engine() as engine, tukio.Engine():
        alone, unrelated = loop.create_task(a({"n": 1})), loop.create_task(other())
        assert begun == ["a", "other"]
        assert type(alone) is TukioTask
        assert alone.result() is alone
        assert alone.as_dict()["state"] == "finished"
        assert alone.inputs == {"n": 1}
        assert type(unrelated) is (asyncio.Task, OtherTask)[which]
        run = await engine.run_once(flow("a"), {})
        assert begun == ["a", "other"]
        await run.wait()
        assert begun == ["a", "other", "a"]
    assert loop.get_task_factory() is factory


@EAGER
@pytest.mark.backends("asyncio")
@pytest.mark.parametrize("which", [0, 1], ids=["asyncio's", "a user's"])
async def test_anyio_recognises_our_factory_as_eager(task: Tasks, which: int) -> None:
    """It must start its own children late, or their cancel scopes are entered in the wrong task."""
    story: list[str] = []

    @task
    async def a(event: Any) -> None:
        async def child(number: int) -> None:
            with anyio.move_on_after(number):
                await anyio.sleep(3)
            story.append(f"child {number}")

        async with anyio.create_task_group() as group:
            group.start_soon(child, 2)
            group.start_soon(child, 1)
            story.append("body")

    asyncio.get_running_loop().set_task_factory(eager_factories()[which])
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        assert await run.wait() is tukio.FutureState.finished

    assert run.errors == {}
    assert story == ["body", "child 1", "child 2"]


@EAGER
@pytest.mark.backends("asyncio")
async def test_an_eager_factory_set_after_ours_makes_no_host_eager(task: Tasks) -> None:
    """A run begins in the next turn of the loop, whatever the loop's factory."""
    begun: list[str] = []

    @task
    async def a(event: Any) -> None:
        begun.append("a")
        await anyio.lowlevel.checkpoint()

    async with tukio.Engine() as engine:
        asyncio.get_running_loop().set_task_factory(eager_factories()[0])
        run = await engine.run_once(flow("a"), {})
        assert begun == []
        assert await run.wait() is tukio.FutureState.finished
    assert begun == ["a"]


@EAGER
@pytest.mark.backends("asyncio")
@pytest.mark.parametrize("which", [0, 1], ids=["asyncio's", "a user's"])
async def test_without_an_engine_nothing_is_eager(task: Tasks, which: int) -> None:
    """Neither a workflow by itself nor a task by itself begins before the next turn."""
    begun: list[str] = []

    @task
    async def a(event: Any) -> dict[str, int]:
        begun.append("a")
        await asyncio.sleep(1)
        return {"n": 1}

    asyncio.get_running_loop().set_task_factory(eager_factories()[which])
    run: Any = tukio.Workflow(flow("a"))
    run.run({})
    alone = new_task("a", data=tukio.Event({}))
    assert begun == []
    results = await asyncio.gather(run, alone)
    assert begun == ["a", "a"]
    assert (run.outputs, results[1]) == ({"a": {"n": 1}}, {"n": 1})
