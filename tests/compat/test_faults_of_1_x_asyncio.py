"""Faults of tukio 1.1.2, B31-B34, B44-B46, B49, B50, B58: workflows among asyncio tasks."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from support.leaks import no_asyncio_errors
from tukio.task import TukioTask, new_task
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled
FINISHED = tukio.FutureState.finished
TIMEOUT = tukio.FutureState.timeout

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


async def awaiting(run: Any) -> None:
    """Await a run in a coroutine of its own."""
    await run


# Cancelling one who awaits a workflow -------------------------------------------------------------


@on_asyncio
async def test_b31_cancel_takes_a_message_as_the_cancel_of_any_future(ran: list[str]) -> None:
    """In 1.1.2 it took none, and asyncio gives one from Python 3.9 on."""
    async with tukio.Engine() as engine:
        runs: list[Any] = [
            await engine.run_once(flow("a", names={"a": "slow"}), {}) for _ in range(3)
        ]
        assert runs[0].cancel()
        assert runs[1].cancel("enough")
        assert runs[2].cancel(msg="enough")

    assert [run.state for run in runs] == [CANCELLED] * 3


@on_asyncio
async def test_b31_a_task_that_awaits_a_workflow_can_be_cancelled(ran: list[str]) -> None:
    """In 1.1.2 that raised a TypeError, and neither of them was cancelled."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        waiter = asyncio.ensure_future(awaiting(run))
        await asyncio.sleep(1)
        assert waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    assert asyncio.get_running_loop().time() == 1
    assert waiter.cancelled()
    assert run.state is CANCELLED


async def by_wait_for(run: Any) -> None:
    """Limit an `await` by the function."""
    await asyncio.wait_for(run, 5)


async def by_timeout(run: Any) -> None:
    """Limit an `await` by the block."""
    async with asyncio.timeout(5):
        await run


@on_asyncio
@pytest.mark.parametrize("limited", [by_wait_for, by_timeout])
async def test_b31_a_limit_on_awaiting_a_workflow_is_kept(
    ran: list[str], limited: Callable[[Any], Awaitable[None]]
) -> None:
    """In 1.1.2 it never fired, on newer Pythons."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        with pytest.raises(TimeoutError):
            await limited(run)
        assert asyncio.get_running_loop().time() == 5
        assert run.state is CANCELLED
        assert engine.instances == []


@on_asyncio
def test_b31_a_program_ends_though_a_task_awaits_a_workflow(ran: list[str], backend: str) -> None:
    """In 1.1.2 `asyncio.run` raised the TypeError when it cancelled what was left."""
    runs: list[Any] = []
    waiters: list[asyncio.Task[None]] = []

    async def main() -> list[tuple[str, str | None, Any]]:
        engine = tukio.Engine()
        events = listen(engine)
        runs.append(await engine.run_once(flow("a", names={"a": "slow"}), {}))
        waiters.append(asyncio.create_task(awaiting(runs[0])))
        await asyncio.sleep(1)
        return events

    with no_asyncio_errors(), asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        events = runner.run(main())

    assert kinds(events) == ["workflow-begin", "task-begin a", "task-cancel a", "workflow-end"]
    assert waiters[0].cancelled()
    assert runs[0].state is CANCELLED


@on_asyncio
async def test_b31_a_workflow_whose_task_awaits_another_one_can_be_cancelled(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 `cancel()` raised the TypeError; both went on."""
    inner: list[Any] = []

    @task
    async def outer(event: tukio.Event) -> None:
        inner.append(await engine.run_once(flow("a", names={"a": "slow"}), {}))
        await inner[0]

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("outer"), {})
        await asyncio.sleep(1)
        assert run.cancel()
        assert await run.wait() is CANCELLED

    assert asyncio.get_running_loop().time() == 1
    assert inner[0].state is CANCELLED


async def test_b31_a_limit_on_waiting_is_kept_on_every_backend(ran: list[str]) -> None:
    """The portable way only gives up: the run goes on."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        with anyio.move_on_after(5) as scope:
            await run.wait()
        assert scope.cancelled_caught
        assert anyio.current_time() == 5
        assert await run.wait() is FINISHED
        assert anyio.current_time() == 10


# Newer Pythons ------------------------------------------------------------------------------------


@on_asyncio
def test_b32_an_engine_of_1_x_runs_on_a_newer_python(task: Tasks, backend: str) -> None:
    """In 1.1.2 nothing ran from 3.10 on, and only the log knew; a task still has its queue."""

    @task
    class Reader(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            assert self.queue is not None
            news = await self.queue.get()
            return {**event.data, **news.data}

    loop = new_loop(backend)
    try:
        engine = tukio.Engine(loop=loop)
        template = flow("Reader", topics=["start"])
        template.tasks[0].topics = ["news"]
        loop.run_until_complete(engine.load(template))
        runs: list[Any] = loop.run_until_complete(engine.data_received({"a": 1}, "start"))
        loop.run_until_complete(settled(loop))
        assert loop.run_until_complete(engine.data_received({"b": 2}, "news")) == []
        done, pending = loop.run_until_complete(asyncio.wait(runs))
    finally:
        loop.close()

    assert (done, pending) == (set(runs), set())
    assert runs[0].outputs == {"Reader": {"a": 1, "b": 2}}


async def settled(loop: Any) -> None:
    """Let all happen that takes no time."""
    await loop.settle()


@on_asyncio
@pytest.mark.parametrize("registered", [True, False])
async def test_b33_a_task_may_be_given_a_context_and_a_name(task: Tasks, registered: bool) -> None:
    """In 1.1.2 that was a TypeError once there had been an engine, from 3.11 on."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    context = copy_context()
    context.run(variable.set, "given")

    async def look() -> tuple[str, str]:
        current = asyncio.current_task()
        assert current is not None
        return variable.get(), current.get_name()

    if registered:
        task(look)
    async with tukio.Engine():
        one = asyncio.create_task(look(), context=context, name="one")
        async with asyncio.TaskGroup() as group:
            two = group.create_task(look(), context=context, name="two")
        three = asyncio.get_running_loop().create_task(look(), context=context)
        assert await one == ("given", "one")
        assert two.result() == ("given", "two")
        assert (await three)[0] == "given"
        assert isinstance(one, TukioTask) is registered


@on_asyncio
def test_b33_a_runner_runs_again_after_an_engine(ran: list[str], backend: str) -> None:
    """In 1.1.2 the second `run()` failed on the factory that the first engine had left."""

    async def main() -> tukio.FutureState:
        run = await tukio.Engine().run_once(flow("a", names={"a": "quick"}), {})
        assert run
        return await run.wait()

    with asyncio.Runner(loop_factory=lambda: new_loop(backend)) as runner:
        assert [runner.run(main()) for _ in range(2)] == [FINISHED] * 2


# Looking at tasks ---------------------------------------------------------------------------------


@pytest.fixture
def torn_down(task: Tasks) -> list[str]:
    """Register `Lasting` (10 s), which notes its `teardown()` here."""
    noted: list[str] = []

    @task
    class Lasting(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, int]:
            await anyio.sleep(10)
            return {"n": 1}

        def teardown(self) -> dict[str, int]:
            noted.append("torn down")
            return {"n": 2}

    return noted


async def test_b34_to_look_at_a_task_that_is_over_changes_nothing(torn_down: list[str]) -> None:
    """In 1.1.2 each `result()` sent `task-end` again, and moved the end of the task."""
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("Lasting"), {})
        await run.wait()
        (step,) = run.tasks
        before = step.as_dict(), run.report(), list(events)
        await anyio.sleep(5)
        assert [step.result() for _ in range(2)] == [{"n": 1}] * 2
        assert (step.done(), step.cancelled(), step.exception()) == (True, False, None)
        await settle()
        assert (step.as_dict(), run.report(), events) == before

    assert torn_down == []


async def test_b34_to_look_at_a_task_that_timed_out_does_not_tear_it_down_again(
    torn_down: list[str],
) -> None:
    """In 1.1.2 each `result()` called `teardown()` once more."""
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("Lasting", limits={"Lasting": 1}), {})
        await run.wait()
        (step,) = run.tasks
        before = step.as_dict(), run.report(), list(events)
        await anyio.sleep(5)
        for _ in range(2):
            with pytest.raises(TimeoutError, match="'Lasting' reached its time limit"):
                step.result()
        await settle()
        assert (step.as_dict(), run.report(), events) == before

    assert (step.state, step.outputs) == (TIMEOUT, {"n": 2})
    assert torn_down == ["torn down"]


@on_asyncio
async def test_b34_gather_and_wait_for_change_nothing_either(torn_down: list[str]) -> None:
    """Of a run that is over, and of a task by itself."""
    async with tukio.Engine() as engine:
        events = listen(engine)
        run: Any = await engine.run_once(flow("Lasting"), {})
        alone = new_task("Lasting", data=tukio.Event({}))
        await asyncio.wait([run, alone])
        before = alone.as_dict(), run.report(), list(events)
        await asyncio.sleep(5)
        both: Any = (run, alone)
        looked: Any = await asyncio.gather(*both, *both)
        assert looked == [run.tasks, {"n": 1}] * 2
        assert await asyncio.wait_for(run, 1) == run.result() == run.tasks
        assert await asyncio.wait_for(alone, 1) == alone.result() == {"n": 1}
        await settle()
        assert (alone.as_dict(), run.report(), events) == before

    assert torn_down == []


# Where code runs ----------------------------------------------------------------------------------


async def test_b44_the_workflow_is_known_wherever_code_of_a_task_runs(task: Tasks) -> None:
    """In 1.1.2 it was an UnboundLocalError in sub-tasks and in `__init__`; outside it is none."""
    known: dict[str, Any] = {}

    async def look(where: str) -> None:
        known[where] = tukio.Workflow.current_workflow()
        assert tukio.current_workflow() is known[where]
        assert tukio.current_task().workflow is known[where]

    @task
    class Looks(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            known["__init__"] = tukio.Workflow.current_workflow()

        async def execute(self, event: tukio.Event) -> None:
            await look("execute")
            async with anyio.create_task_group() as group:
                group.start_soon(look, "sub-task")
            await anyio.sleep(10)

        async def teardown(self) -> None:
            await look("teardown")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("Looks", limits={"Looks": 1}), {})
        await run.wait()
        assert tukio.Workflow.current_workflow() is None
        with pytest.raises(tukio.EngineError, match="not inside a task"):
            tukio.current_workflow()

    assert known == dict.fromkeys(["__init__", "execute", "sub-task", "teardown"], run)


@on_asyncio
async def test_b44_also_in_what_asyncio_starts_for_a_task(task: Tasks) -> None:
    """In 1.1.2 it was an UnboundLocalError in each plain task, and None in a callback."""
    known: list[Any] = []

    async def look() -> None:
        known.append(tukio.Workflow.current_workflow())

    def note() -> None:
        known.append(tukio.Workflow.current_workflow())

    @task
    async def looks(event: tukio.Event) -> None:
        await asyncio.gather(look(), look())
        plain = asyncio.create_task(look())
        await plain
        await asyncio.ensure_future(look())
        await asyncio.wait_for(look(), 1)
        asyncio.get_running_loop().call_soon(note)
        await asyncio.sleep(1)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("looks"), {})
        await run
        outside = asyncio.create_task(look())
        await outside

    assert known == [*[run] * 6, None]


@on_asyncio
async def test_b44_a_workflow_may_be_run_while_a_task_is_made(task: Tasks, ran: list[str]) -> None:
    """In 1.1.2 the outer `run()` raised a KeyError, although it went on."""

    @task
    class Starts(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.inner: Any = tukio.Workflow(flow("a", names={"a": "slow"}))
            self.inner.run({"in": 0})

        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            await self.inner
            outputs: dict[str, Any] = self.inner.outputs
            return outputs

    outer: Any = tukio.Workflow(flow("Starts b", names={"b": "quick"}))
    assert outer.run({}).template.uid == "Starts"
    await outer

    assert outer.outputs["Starts"] == {"a": {"in": 0, "a": 1}}
    assert ran == ["a", "b"]


# What keeps a workflow alive, and where it runs ---------------------------------------------------


def start_alone() -> weakref.ref[Any]:
    """Start a workflow without an engine, and keep no more than a trace of it."""
    names = {"a": "quick", "b": "quick", "c": "waits", "j": "join", "k": "quick"}
    template = flow({"a": ["b", "c"], "b": ["j"], "c": ["j"], "j": ["k"]}, names=names)
    template.tasks[3].config = {"wait_for": ["b", "c"]}
    workflow: Any = tukio.Workflow(template)
    workflow.run({})
    return weakref.ref(workflow)


@on_asyncio
@pytest.mark.parametrize("how", ["joining", "suspended"])
async def test_b45_a_workflow_that_only_waits_on_itself_is_not_collected(
    task: Tasks, ran: list[str], how: str
) -> None:
    """In 1.1.2 it was, without an engine; its join was a RuntimeError, its tasks destroyed."""
    bells: list[weakref.ref[asyncio.Event]] = []

    @task
    async def waits(event: tukio.Event) -> None:
        bell = asyncio.Event()
        bells.append(weakref.ref(bell))
        await bell.wait()

    trace = start_alone()
    await settle()
    workflow: Any = trace()
    if how == "suspended":
        workflow.suspend()
        await settle()
    del workflow
    gc.collect()
    workflow = trace()
    assert workflow is not None
    if how == "suspended":
        workflow.resume()
        await settle()
    bell = bells[-1]()
    assert bell is not None
    bell.set()
    assert await workflow == set(workflow.tasks)

    assert workflow.state is FINISHED
    assert ran == ["a", "b", "k"]


@on_asyncio
@pytest.mark.parametrize("given", [True, False], ids=["loop=", "no loop"])
def test_b46_an_engine_may_be_made_while_another_loop_is_the_current_one(
    ran: list[str], backend: str, given: bool
) -> None:
    """In 1.1.2 its locks belonged to the other one: a RuntimeError when two calls met."""

    class Selector:
        async def select(self, topic: str | None) -> list[tukio.WorkflowTemplate]:
            await asyncio.sleep(1)
            return [template]

    async def main() -> list[Any]:
        received = await asyncio.gather(*[engine.data_received({}) for _ in range(5)])
        runs: list[Any] = [run for runs in received for run in runs]
        await asyncio.gather(*runs)
        await engine.stop()
        return runs

    template = flow("a", names={"a": "slow"}, policy="skip")
    loop, other = new_loop(backend), new_loop(backend)
    asyncio.set_event_loop(other)
    try:
        engine = tukio.Engine(selector=Selector(), loop=loop if given else None)
        (run,) = loop.run_until_complete(main())
        assert (loop.time(), other.time()) == (11, 0)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        other.close()

    assert run.outputs == {"a": {"a": 1}}


# The engine among others --------------------------------------------------------------------------


async def by_move_on_after(engine: tukio.Engine) -> None:
    """Give up by the portable way."""
    with anyio.move_on_after(5) as scope:
        await engine
    assert scope.cancelled_caught


async def by_native_wait_for(engine: tukio.Engine) -> None:
    """Give up by asyncio's way."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine, 5)


async def gives_up_and_goes_on(give_up: Callable[[tukio.Engine], Awaitable[None]]) -> None:
    """Give up waiting for an engine before and after `stop()`, and see what is left."""
    async with tukio.Engine() as engine:
        await give_up(engine)
        assert not engine.done()
        run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
        engine.stop()
        await give_up(engine)
        assert anyio.current_time() == 10
        assert not engine.done()
        assert engine.instances == [run]
        assert not run.done()
        await engine
        assert anyio.current_time() == 15
        assert engine.done()

    assert run.state is FINISHED


async def test_b49_to_give_up_waiting_for_an_engine_does_not_end_it(ran: list[str]) -> None:
    """In 1.1.2 it counted as done then, while its workflows went on."""
    await gives_up_and_goes_on(by_move_on_after)


@on_asyncio
async def test_b49_nor_does_the_wait_for_of_asyncio(ran: list[str]) -> None:
    """In 1.1.2 it cancelled the future that the engine was."""
    await gives_up_and_goes_on(by_native_wait_for)


@on_asyncio
async def test_b50_an_engine_changes_no_task_but_those_of_registered_coroutines(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 the factory of the loop was gone, and tukio's stayed for ever."""
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        made.append(coro.__qualname__.rpartition(".")[2])
        return asyncio.Task(coro, loop=loop, **kwargs)

    @task
    async def known() -> None:
        await asyncio.sleep(1)

    async def unknown() -> None:
        await asyncio.sleep(1)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        async with tukio.Engine() as engine:
            run: Any = await engine.run_once(flow("a", names={"a": "slow"}), {})
            made.clear()
            tasks = [loop.create_task(known()), loop.create_task(unknown())]
            assert [type(one) for one in tasks] == [TukioTask, asyncio.Task]
            assert made == ["unknown"]
            await run
        assert loop.get_task_factory() is factory
        tasks.append(loop.create_task(known()))
        assert type(tasks[-1]) is asyncio.Task
        await asyncio.wait(tasks)
    finally:
        loop.set_task_factory(None)


@on_asyncio
async def test_b50_an_engine_does_not_need_the_task_factory(ran: list[str]) -> None:
    """In 1.1.2 a run on a loop without it stayed pending for ever, with an AttributeError."""
    engine = tukio.Engine()
    await engine.load(flow("a b", names={"a": "slow", "b": "quick"}))
    asyncio.get_running_loop().set_task_factory(None)
    run: Any = await engine.trigger("flow", {})
    await run
    await engine.stop()

    assert run.outputs["b"] == {"a": 1, "b": 1}


async def test_b50_a_registered_coroutine_that_others_use_is_no_task_of_a_workflow(
    task: Tasks,
) -> None:
    """In 1.1.2 each task made of its code told of itself, such as one for a broker's handler."""
    got: list[Any] = []

    @task
    async def handles(event: tukio.Event) -> None:
        got.append((event.data, tukio.Workflow.current_workflow()))
        await anyio.sleep(1)

    @task
    async def calls(event: tukio.Event) -> None:
        await handles(event)
        async with anyio.create_task_group() as group:
            group.start_soon(handles, event)

    async with tukio.Engine() as engine:
        events = listen(engine)
        engine.broker.register(handles, "news")
        await handles(tukio.Event({"n": 1}))
        await engine.data_received({"n": 2}, "news")
        await anyio.sleep(2)
        assert events == []
        run: Any = await engine.run_once(flow("calls"), {"n": 3})
        await run.wait()

    assert got == [({"n": 1}, None), ({"n": 2}, None), ({"n": 3}, run), ({"n": 3}, run)]
    assert kinds(events) == ["workflow-begin", "task-begin calls", "task-end calls", "workflow-end"]


# What is left of a workflow -----------------------------------------------------------------------


class Payload:
    """Something that can be traced."""


@pytest.fixture
def traces(task: Tasks) -> dict[str, list[weakref.ref[Payload]]]:
    """Register `carries` (1 s), and note here what it is given, works with and returns."""
    noted: dict[str, list[weakref.ref[Payload]]] = {"input": [], "local": [], "output": []}

    @task
    async def carries(event: tukio.Event) -> dict[str, Any]:
        local, output = Payload(), Payload()
        await anyio.sleep(1)
        noted["input"].append(weakref.ref(event.data["payload"]))
        noted["local"].append(weakref.ref(local))
        noted["output"].append(weakref.ref(output))
        return {"payload": output}

    return noted


def alive(references: list[Any]) -> int:
    """Return how many of the things behind weak references are still there."""
    return sum(reference() is not None for reference in references)


async def test_b58_nothing_but_the_collector_has_to_come_for_finished_workflows(
    traces: dict[str, list[weakref.ref[Payload]]],
) -> None:
    """As in 1.1.2 they wait for it, but what a task worked with is gone when the task is over."""
    runs: list[weakref.ref[Any]] = []
    template = flow("a b", names={"a": "carries", "b": "carries"})
    async with tukio.Engine() as engine:
        gc.collect()
        gc.disable()
        try:
            for _ in range(200):
                await engine.run_once(template, {"payload": Payload()})
            runs += [weakref.ref(run) for run in engine.instances]
            await anyio.sleep(10)
            assert engine.instances == []
            assert {what: len(found) for what, found in traces.items()} == dict.fromkeys(
                ["input", "local", "output"], 400
            )
            assert alive(traces["local"]) == 0
        finally:
            gc.enable()
        gc.collect()
        assert [alive(one) for one in (runs, *traces.values())] == [0, 0, 0, 0]
