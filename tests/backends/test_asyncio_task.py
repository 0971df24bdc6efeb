"""What asyncio sees inside a task of a workflow: `TukioTask`, its stack and its callbacks.

Code written for 1.x asks `asyncio.current_task()`.
"""

from __future__ import annotations

import asyncio
import io
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from support.native import current_tukio_task
from tukio.task import TukioTask, new_task
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")


async def test_in_a_step_the_current_asyncio_task_speaks_for_the_step(task: Tasks) -> None:
    """Code written for 1.x asks asyncio who it is; before and after it was suspended."""
    seen: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        for _ in range(2):
            host, step = current_tukio_task(), tukio.current_task()
            assert host.template is step.template
            assert host.workflow is step.workflow is tukio.current_workflow()
            assert host.uid == step.uid
            assert host.holder is None
            assert host.queue is step.queue
            assert host.inputs == step.inputs == {"n": 1}
            assert host.outputs is None
            assert host.state is tukio.FutureState.pending
            assert host.event_source.as_dict() == step.source.as_dict()
            assert host.committed
            assert not host.timed_out
            assert host.in_progress()
            assert host.as_dict() == step.as_dict()
            seen.append(step.template.uid)
            await anyio.sleep(1)
        return {"n": 2}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {"n": 1})
        await run.wait()

    assert run.errors == {}
    assert seen == ["a", "a"]


async def test_each_of_two_suspended_steps_has_an_asyncio_task_of_its_own(task: Tasks) -> None:
    """A host belongs to one step for as long as that step is suspended."""
    hosts: dict[str, TukioTask] = {}

    async def wait(event: tukio.Event) -> None:
        uid = tukio.current_task().template.uid
        hosts[uid] = current_tukio_task()
        await anyio.sleep(1)
        assert current_tukio_task() is hosts[uid]
        assert current_tukio_task().template.uid == uid

    task(wait)
    async with tukio.Engine() as engine:
        names = dict.fromkeys("abc", "wait")
        run = await engine.run_once(flow({"a": ["b", "c"]}, names=names), {})
        await run.wait()

    assert run.errors == {}
    assert hosts["b"] is not hosts["c"]


async def test_a_holder_and_its_queue_are_found_on_the_asyncio_task(task: Tasks) -> None:
    """Events go to the step; `data_received` is how a handler hands one over."""
    got: list[Any] = []

    @task
    class Listener(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            assert current_tukio_task().holder is self
            assert current_tukio_task().uid == self.uid
            await current_tukio_task().data_received(tukio.Event({"n": 1}))
            got.append((await self.queue.get()).data)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Listener"), {})

    assert got == [{"n": 1}]


async def test_a_step_dispatches_progress_through_its_asyncio_task(task: Tasks) -> None:
    """With any word for it, as in 1.x."""

    @task
    async def a(event: tukio.Event) -> None:
        current_tukio_task().dispatch_progress({"done": 1})
        current_tukio_task().dispatch_progress("half", event_type="mine")

    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.run_once(flow("a"), {})

    assert ("task-progress", "a", {"done": 1}) in story
    assert ("mine", "a", "half") in story


async def test_a_host_between_two_steps_speaks_for_none(task: Tasks) -> None:
    """Whoever kept a hold of it gets an answer, not an error, and the same id each time."""
    hosts: list[TukioTask] = []

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current_tukio_task())

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await run.wait()

    (host,) = hosts
    assert host.workflow is run
    assert host.template is None
    assert host.holder is None
    assert host.uid == host.uid
    assert host.as_dict()["id"] == host.uid


async def test_a_host_is_named_after_its_workflow(task: Tasks) -> None:
    """That is what a dump of all tasks shows."""
    names: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        names.append(current_tukio_task().get_name())

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a", id="parcels"), {})

    assert names == ["tukio parcels"]


# Its stack


async def test_the_stack_of_a_host_is_that_of_the_step(task: Tasks) -> None:
    """Not that of the engine, behind which asyncio would not see the step."""
    hosts: list[TukioTask] = []

    async def inner() -> None:
        await asyncio.sleep(1)

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current_tukio_task())
        await inner()

    def names(**limit: int) -> list[str]:
        return [frame.f_code.co_name for frame in hosts[0].get_stack(**limit)]

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        await settle()
        assert names() == ["a", "inner", "sleep"]
        assert names(limit=2) == ["inner", "sleep"]
        assert names(limit=9) == ["a", "inner", "sleep"]
        assert names(limit=0) == []
        printed = io.StringIO()
        hosts[0].print_stack(file=printed)
        await run.wait()
        await settle()

    _, *lines = printed.getvalue().splitlines()
    assert lines[0].endswith("in a")
    assert lines[1].strip() == "await inner()"
    assert names() == []


async def test_a_step_can_print_its_own_stack(task: Tasks) -> None:
    """While it runs, it is the innermost thing that asyncio can see."""
    names: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        await asyncio.sleep(0)
        names.extend(frame.f_code.co_name for frame in current_tukio_task().get_stack())

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a"), {})

    assert names == ["a"]


async def test_the_stack_of_a_task_that_failed_is_its_traceback(task: Tasks) -> None:
    """Outside a workflow, as with any asyncio task."""

    @task
    async def bad(event: Any) -> None:
        await asyncio.sleep(1)
        raise LookupError

    alone = new_task("bad")
    await asyncio.sleep(0)
    assert [frame.f_code.co_name for frame in alone.get_stack()] == ["bad", "sleep"]
    await asyncio.wait([alone])
    assert [frame.f_code.co_name for frame in alone.get_stack()] == ["bad"]
    assert isinstance(alone.exception(), LookupError)


# Its callbacks


async def test_a_done_callback_that_a_step_adds_for_itself_fires_when_the_step_is_over(
    task: Tasks,
) -> None:
    """Not when the host is, which goes on with the next step."""
    story: list[Any] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        current_tukio_task().add_done_callback(lambda over: story.append((over, over.result())))
        await anyio.sleep(1)
        return {"n": 1}

    @task
    async def b(event: tukio.Event) -> None:
        story.append("b begins")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b"), {})

    (step, _) = run.tasks
    assert story == [(step, {"n": 1}), "b begins"]


async def test_a_done_callback_runs_in_the_context_it_was_given(task: Tasks) -> None:
    """Libraries add theirs with a context of their own."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen: list[str] = []
    context = copy_context()
    context.run(variable.set, "given")

    @task
    async def a(event: tukio.Event) -> None:
        me = current_tukio_task()
        me.add_done_callback(lambda _: seen.append(variable.get()), context=context)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a"), {})

    assert seen == ["given"]


async def test_a_step_may_remove_its_done_callback(task: Tasks) -> None:
    """As often as it was added."""
    counts: list[int] = []

    @task
    async def a(event: tukio.Event) -> None:
        current_tukio_task().add_done_callback(counts.append)
        current_tukio_task().add_done_callback(counts.append)
        counts.append(current_tukio_task().remove_done_callback(counts.append))
        counts.append(current_tukio_task().remove_done_callback(counts.append))

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a"), {})

    assert counts == [2, 0]


async def test_a_done_callback_added_by_another_task_is_the_host_s(task: Tasks) -> None:
    """It watches the asyncio task, which may outlive the step; a sub-task can await it, too."""
    story: list[Any] = []
    hosts: list[TukioTask] = []

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current_tukio_task())

        async def watch() -> None:
            await hosts[0]
            story.append("watched")

        watcher = asyncio.create_task(watch())
        await anyio.sleep(2)
        story.append("a ends")
        watchers.append(watcher)

    @task
    async def b(event: tukio.Event) -> None:
        await anyio.sleep(1)
        assert current_tukio_task() is hosts[0]
        story.append("b ends")

    watchers: list[asyncio.Task[None]] = []
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b"), {})
        await anyio.sleep(1)
        hosts[0].add_done_callback(story.append)
        await run.wait()
    await watchers[0]

    assert run.errors == {}
    assert story[:2] == ["a ends", "b ends"]
    assert sorted(story[2:], key=str) == sorted([hosts[0], "watched"], key=str)


async def test_a_workflow_is_unlocked_by_the_end_of_the_current_asyncio_task(task: Tasks) -> None:
    """As 1.x code does it: the next data starts another run although the first goes on."""

    @task
    async def a(event: tukio.Event) -> None:
        tukio.current_workflow().unlock_when_task_done(current_tukio_task())
        await anyio.sleep(1)

    @task
    async def b(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        await engine.load(flow("a b", policy="skip-until-unlock"))
        assert await engine.data_received({})
        assert not await engine.data_received({})
        await anyio.sleep(2)
        assert await engine.data_received({})
