"""Faults of tukio 1.1.2, B34, B44-B46, B58: what a workflow and its tasks are while and after."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, listen
from tukio.task import new_task
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
TIMEOUT = tukio.FutureState.timeout

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


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
