"""What asyncio sees of tasks: `TukioTask`, tasks outside a workflow, and the task factory.

The engine itself works without the factory; these tests are about users' code that relies on it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import io
import sys
from contextvars import ContextVar, copy_context
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, listen
from tukio.task import TukioTask, new_task, tukio_factory
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from support.flow import Tasks

pytestmark = pytest.mark.backends("asyncio", "uvloop")

EAGER = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="asyncio has eager tasks since Python 3.12"
)


def current() -> TukioTask:
    """Return the calling task as asyncio knows it."""
    task = asyncio.current_task()
    assert isinstance(task, TukioTask)
    return task


async def plain() -> str:
    """Do what no workflow knows of."""
    await asyncio.sleep(1)
    return "plain"


# Inside a task of a workflow ----------------------------------------------------------------------


async def test_in_a_step_the_current_asyncio_task_speaks_for_the_step(task: Tasks) -> None:
    """Code written for 1.x asks asyncio who it is; before and after it was suspended."""
    seen: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        for _ in range(2):
            host, step = current(), tukio.current_task()
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
        hosts[uid] = current()
        await anyio.sleep(1)
        assert current() is hosts[uid]
        assert current().template.uid == uid

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
            assert current().holder is self
            assert current().uid == self.uid
            await current().data_received(tukio.Event({"n": 1}))
            got.append((await self.queue.get()).data)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("Listener"), {})

    assert got == [{"n": 1}]


async def test_a_step_dispatches_progress_through_its_asyncio_task(task: Tasks) -> None:
    """With any word for it, as in 1.x."""

    @task
    async def a(event: tukio.Event) -> None:
        current().dispatch_progress({"done": 1})
        current().dispatch_progress("half", event_type="mine")

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
        hosts.append(current())

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
        names.append(current().get_name())

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
        hosts.append(current())
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
        names.extend(frame.f_code.co_name for frame in current().get_stack())

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
        current().add_done_callback(lambda over: story.append((over, over.result())))
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
        current().add_done_callback(lambda _: seen.append(variable.get()), context=context)

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a"), {})

    assert seen == ["given"]


async def test_a_step_may_remove_its_done_callback(task: Tasks) -> None:
    """As often as it was added."""
    counts: list[int] = []

    @task
    async def a(event: tukio.Event) -> None:
        current().add_done_callback(counts.append)
        current().add_done_callback(counts.append)
        counts.append(current().remove_done_callback(counts.append))
        counts.append(current().remove_done_callback(counts.append))

    async with tukio.Engine() as engine:
        await engine.run_once(flow("a"), {})

    assert counts == [2, 0]


async def test_a_done_callback_added_by_another_task_is_the_host_s(task: Tasks) -> None:
    """It watches the asyncio task, which may outlive the step; a sub-task can await it, too."""
    story: list[Any] = []
    hosts: list[TukioTask] = []

    @task
    async def a(event: tukio.Event) -> None:
        hosts.append(current())

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
        assert current() is hosts[0]
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
        tukio.current_workflow().unlock_when_task_done(current())
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


# Outside a workflow -------------------------------------------------------------------------------


async def test_a_task_can_run_by_itself(task: Tasks) -> None:
    """It has neither template nor workflow; everything else has an answer."""

    @task
    async def double(number: int) -> int:
        assert current().template is None
        assert current().workflow is None
        assert current().holder is None
        assert current().in_progress()
        assert current().committed
        current().dispatch_progress("nobody listens")
        await asyncio.sleep(1)
        return number * 2

    alone = new_task("double", data=4)
    assert isinstance(alone, TukioTask)
    assert await alone == 8
    assert alone.outputs == 8
    assert alone.event_source.as_dict() == {
        "workflow_template_id": None,
        "workflow_exec_id": None,
        "task_template_id": None,
        "task_exec_id": alone.uid,
    }


async def test_a_holder_runs_by_itself_with_its_config_and_a_queue(task: Tasks) -> None:
    """As in a workflow; the id is the holder's."""

    @task
    class Listener(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> Any:
            return self.config, event.data, (await self.queue.get()).data

    alone = new_task("Listener", data=tukio.Event({"n": 1}), config={"c": 2})
    assert alone.holder.queue is alone.queue
    assert alone.uid == alone.holder.uid
    await alone.data_received(tukio.Event({"n": 3}))
    assert await alone == ({"c": 2}, {"n": 1}, {"n": 3})


async def test_a_holder_that_takes_no_queue_runs_by_itself(task: Tasks) -> None:
    """Any class with `__init__(config)` will do; `self` may go by any name."""

    @task
    class Bare:
        __slots__ = ()

        def __init__(self, config: Any) -> None:
            """Need nothing."""

        async def execute(me, event: Any) -> Any:  # noqa: N805 - what the test is about
            return [me for _ in range(1)], event

    alone = new_task("Bare", data="x")
    assert isinstance(alone.holder, Bare)
    assert await alone == ([alone.holder], "x")
    assert alone.inputs == "x"


async def test_a_decorated_task_is_known_by_what_it_is_called_with(task: Tasks) -> None:
    """A decorator's wrapper takes `*args`, whatever the names beneath."""

    def logged(function: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    @task
    class Holder(tukio.TaskHolder):
        @logged
        async def execute(self, event: Any) -> Any:
            return self, event

    alone = new_task("Holder", data={"n": 1})
    assert alone.inputs == {"n": 1}
    assert await alone == (alone.holder, {"n": 1})


async def test_the_snapshot_of_a_task_by_itself_tells_its_times_and_data(task: Tasks) -> None:
    """The inputs are those it was given, whatever it did to them since."""

    @task
    async def a(event: tukio.Event) -> tukio.Event:
        event.data["n"] = 2
        await asyncio.sleep(30)
        return event

    alone = new_task("a", data=tukio.Event({"n": 1}))
    await asyncio.sleep(1)
    before = alone.as_dict()
    assert list(before) == ["id", "start", "end", "state", "inputs", "outputs"]
    assert before["id"] == alone.uid
    assert before["start"].tzinfo is UTC
    assert (before["end"], before["state"]) == (None, "pending")
    assert (before["inputs"], before["outputs"]) == ({"n": 1}, None)

    result = await alone
    after = alone.as_dict()
    assert after["start"] == before["start"]
    assert after["end"] - after["start"] == timedelta(seconds=30)
    assert after["state"] == "finished"
    assert (after["inputs"], after["outputs"]) == ({"n": 1}, {"n": 2})
    assert result.data is not after["outputs"]
    after["outputs"]["n"] = after["inputs"]["n"] = 3
    assert (alone.inputs, alone.outputs) == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize(
    ("error", "state", "outputs"),
    [
        (LookupError("x"), "exception", None),
        (tukio.SkipTask("x"), "skipped", None),
        (tukio.TukioTaskError({"n": 1}), "exception", {"n": 1}),
        (TimeoutError("its own"), "exception", None),
    ],
)
async def test_the_snapshot_of_a_task_that_failed_by_itself(
    task: Tasks, error: Exception, state: str, outputs: Any
) -> None:
    """A `TimeoutError` of the task's own is an ordinary error, whatever its limit."""

    @task
    async def bad(event: Any) -> None:
        await asyncio.sleep(1)
        raise error

    alone = new_task("bad", timeout=5)
    with pytest.raises(type(error)) as raised:
        await alone
    assert raised.value is error
    assert not alone.timed_out
    snapshot = alone.as_dict()
    assert (snapshot["state"], snapshot["outputs"]) == (state, outputs)
    assert tukio.FutureState.get(alone).value == state


async def test_looking_at_a_failed_task_does_not_hide_its_error(task: Tasks) -> None:
    """Asyncio still complains about an error that nobody has taken."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))

    @task
    async def bad(event: Any) -> None:
        raise LookupError

    alone = new_task("bad")
    await asyncio.wait([alone])
    assert alone.as_dict()["state"] == "exception"
    assert alone.state is tukio.FutureState.exception
    del alone
    gc.collect()

    assert [complaint["message"] for complaint in complaints] == [
        "TukioTask exception was never retrieved"
    ]


async def test_the_limit_of_a_task_by_itself_is_a_timeout_error(task: Tasks) -> None:
    """To the second; it has unwound by then."""
    unwound: list[float] = []
    start = asyncio.get_running_loop().time()

    @task
    async def slow(event: Any) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            unwound.append(asyncio.get_running_loop().time() - start)

    alone = new_task("slow", timeout=10)
    with pytest.raises(TimeoutError):
        await alone
    assert unwound == [10]
    assert alone.timed_out
    assert alone.as_dict()["state"] == "timeout"


async def test_a_task_that_keeps_its_limit_is_not_cancelled_later(task: Tasks) -> None:
    """No timer is left behind, and 0 is no limit."""

    @task
    async def quick(event: Any) -> str:
        await asyncio.sleep(1)
        return "done"

    assert await new_task("quick", timeout=10) == "done"
    assert await new_task("quick", timeout=0) == "done"


@pytest.mark.parametrize("limit", [None, 10])
@pytest.mark.parametrize("turns", [0, 1])
async def test_a_task_by_itself_is_cancelled_like_any_asyncio_task(
    task: Tasks, limit: float | None, turns: int
) -> None:
    """Before it begins, too; no coroutine is left that was never awaited."""
    begun: list[str] = []

    @task
    async def slow(event: Any) -> None:
        begun.append("slow")
        await asyncio.sleep(30)

    alone = new_task("slow", timeout=limit)
    for _ in range(turns):
        await asyncio.sleep(0)
    assert alone.cancel("no need")
    with pytest.raises(asyncio.CancelledError):
        await alone
    assert begun == ["slow"] * turns
    assert not alone.timed_out
    assert alone.as_dict()["state"] == "cancelled"


async def test_looking_at_a_result_has_no_side_effects(task: Tasks) -> None:
    """In 1.x each look sent `task-end` again, and moved the end of the task (B34)."""

    @task
    async def a(event: Any) -> dict[str, int]:
        return {"n": 1}

    async with tukio.Engine() as engine:
        story = listen(engine)
        alone = asyncio.get_running_loop().create_task(a({}))
        assert isinstance(alone, TukioTask)
        await alone
        end = alone.as_dict()["end"]
        await asyncio.sleep(5)
        assert alone.result() == alone.result() == await asyncio.wait_for(alone, 1)
        assert list(await asyncio.gather(alone, alone)) == [{"n": 1}, {"n": 1}]
        await settle()

    assert alone.as_dict()["end"] == end
    assert story == []


async def test_an_unknown_task_is_named(task: Tasks) -> None:
    """As when a template is loaded."""
    with pytest.raises(tukio.UnknownTaskName, match="nothing"):
        new_task("nothing")


def test_a_task_by_itself_may_be_made_before_its_loop_runs(task: Tasks, backend: str) -> None:
    """As 1.x code does; without a loop there is an error, and no coroutine left behind."""

    @task
    async def double(number: int) -> int:
        await asyncio.sleep(1)
        return number * 2

    with pytest.raises(RuntimeError, match="no running event loop"):
        new_task("double", data=4)
    loop = new_loop(backend)
    try:
        alone = new_task("double", data=4, timeout=5, loop=loop)
        assert loop.run_until_complete(alone) == 8
    finally:
        loop.close()


# The factory --------------------------------------------------------------------------------------


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
    async def a() -> str:
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
    async def a() -> str:
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
    async def a() -> str:
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
    async def a() -> str:
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
        return {"uid": current().template.uid}

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
    async def a() -> str:
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
