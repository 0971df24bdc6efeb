"""Faults of tukio 1.1.2, B01-B04, B07-B09, B35, B60: what a task returns or raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished


async def test_b01_a_timeout_error_of_the_tasks_own_is_an_ordinary_error(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 hung for ever, and only the garbage collector told; now its branch stops."""

    @task
    async def a(event: tukio.Event) -> None:
        with anyio.fail_after(1):
            await anyio.sleep(30)

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a b", names={"b": "quick"}, limits={"a": 60}), {})
        assert await run.wait() is FINISHED

    assert type(run.errors["a"]) is TimeoutError
    assert kinds(story) == ["workflow-begin", "task-begin a", "task-error a", "workflow-end"]
    assert ran == []


async def test_b02_a_result_that_cannot_be_passed_on_is_an_error_of_the_task(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 hung when a task with successors returned anything but a dict, an Event or None."""

    @task
    async def a(event: tukio.Event) -> str:
        return "text"

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b", names={"b": "quick"}), {})
        assert await run.wait() is FINISHED

    assert isinstance(run.errors["a"], tukio.errors.InvalidResult)
    assert ran == []


async def test_b03_to_choose_none_as_next_tasks_is_a_type_error_in_the_call(
    task: Tasks, ran: list[str]
) -> None:
    """1.1.2 took None and hung; now the call raises, and the choice is as before."""
    caught: list[type[Exception]] = []

    @task
    async def a(event: tukio.Event) -> None:
        workflow: Any = tukio.current_workflow()
        workflow.set_next_tasks(["c"])
        try:
            workflow.set_next_tasks(None)
        except TypeError as error:
            caught.append(type(error))

    async with tukio.Engine() as engine:
        template = flow({"a": ["b", "c"]}, names={"b": "quick", "c": "quick"})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert caught == [TypeError]
    assert ran == ["c"]


async def test_b04_a_teardown_may_be_async(task: Tasks, ran: list[str]) -> None:
    """1.1.2 passed the coroutine itself on as the output and hung; now it is awaited."""

    @task
    class A(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        async def teardown(self) -> dict[str, str]:
            await anyio.sleep(1)
            return {"torn": "down"}

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        template = flow("A b", names={"b": "quick"}, limits={"A": 2})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 3
    assert run.outputs == {"A": {"torn": "down"}, "b": {"torn": "down", "b": 1}}


async def test_b07_a_root_that_cannot_be_made_harms_no_other_workflow(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 the error came out of `data_received`, and a zombie stayed behind.

    Other templates were not started; the zombie blocked its policy and `stop()` for ever.
    """

    @task
    class Broken(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            raise KeyError("init")

        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "quick", "c": "quick"}
        await engine.load(flow("a", id="one", names=names))
        await engine.load(flow("Broken", id="two", policy="skip"))
        await engine.load(flow("b", id="three", names=names))
        runs = await engine.data_received({})
        for run in runs:
            await run.wait()
        assert engine.instances == []
        again = await engine.trigger("two", {})
        assert again
        await again.wait()
        await engine.stop()

    assert [run.template.uid for run in runs] == ["one", "two", "three"]
    assert isinstance(runs[1].errors["Broken"], KeyError)
    assert sorted(ran) == ["a", "b"]


@pytest.mark.parametrize(
    "error",
    [ValueError, TypeError, AttributeError, tukio.UnknownTaskName, KeyError, RuntimeError],
)
async def test_b08_a_task_that_cannot_be_made_is_a_failed_task(
    task: Tasks, ran: list[str], error: type[Exception]
) -> None:
    """In 1.1.2 some errors killed the whole workflow, and others dropped the branch in silence."""

    @task
    class Broken(tukio.TaskHolder):
        def __init__(self, config: Any) -> None:
            raise error("init")

        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        story = listen(engine)
        graph = {"a": ["Broken", "c"], "Broken": ["d"]}
        run = await engine.run_once(flow(graph, names=dict.fromkeys("acd", "quick")), {})
        assert await run.wait() is FINISHED

    assert type(run.errors["Broken"]) is error
    assert ran == ["a", "c"]
    assert "task-error Broken" in kinds(story)
    assert run.report()["tasks"][1]["exec"]["state"] == "exception"


async def test_b09_the_errors_of_a_finished_run_can_be_seen(task: Tasks, ran: list[str]) -> None:
    """As in 1.1.2 the siblings go on and the run finishes; there nothing told of the error."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise KeyError("boom")

    async with tukio.Engine() as engine:
        template = flow({"a": ["fails", "c"]}, names={"a": "quick", "c": "slow"})
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert ran == ["a", "c"]
    assert list(run.errors) == ["fails"]
    error = run.report()["tasks"][1]["exec"]["error"]
    assert error == {"type": "KeyError", "message": "'boom'"}


async def test_b09_a_template_can_ask_for_the_run_to_fail_with_its_task(
    task: Tasks, ran: list[str]
) -> None:
    """`on_error: abort` is new: siblings are cancelled, and whoever awaits the run gets it all."""

    @task
    async def fails(event: tukio.Event) -> None:
        raise KeyError("boom")

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        names = {"a": "quick", "c": "slow"}
        template = flow({"a": ["c", "fails"]}, names=names, on_error="abort")
        run: Any = await engine.run_once(template, {})
        with pytest.raises(tukio.WorkflowFailed) as failed:
            await run

    assert anyio.current_time() == start
    assert [type(error) for error in failed.value.exceptions] == [KeyError]
    assert run.state is tukio.FutureState.exception


async def test_b35_a_teardown_that_fails_or_is_missing_loses_no_branch(
    task: Tasks, ran: list[str]
) -> None:
    """In 1.1.2 such a task, timed out, ended without an event; its successors never started."""

    @task
    class Without:
        def __init__(self, config: Any) -> None:
            pass

        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

    @task
    class Failing(Without):
        async def execute(self, event: tukio.Event) -> None:
            await anyio.sleep(30)

        def teardown(self) -> None:
            raise RuntimeError("teardown")

    async with tukio.Engine() as engine:
        story = listen(engine)
        template = flow(
            {"a": ["Without", "Failing"], "Without": ["b"], "Failing": ["c"]},
            names=dict.fromkeys("abc", "quick"),
            limits={"Without": 1, "Failing": 2},
        )
        run = await engine.run_once(template, {})
        assert await run.wait() is FINISHED

    assert ran == ["a", "b", "c"]
    assert [kind for kind in kinds(story) if kind.startswith("task-timeout")] == [
        "task-timeout Without",
        "task-timeout Failing",
    ]
    assert isinstance(run.errors["Failing"], RuntimeError)


async def test_b60_an_error_that_is_no_exception_is_told_as_well(task: Tasks) -> None:
    """1.1.2 sent no event for a `BaseException` and finished; it was in asyncio's log only."""

    class Strange(BaseException):
        pass

    @task
    async def a(event: tukio.Event) -> None:
        raise Strange

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a"), {})
        assert await run.wait() is FINISHED

    assert kinds(story) == ["workflow-begin", "task-begin a", "task-error a", "workflow-end"]
    assert isinstance(run.errors["a"], Strange)
    assert isinstance(story[2][2]["exception"], Strange)
