"""How a run went: in one word, as an error, and what came of it; alike on all backends."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, listen, step_of
from tukio.errors import TaskCancelled, TaskTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> None:
    """Register what is run."""

    @task
    async def fine(event: tukio.Event) -> dict[str, Any]:
        return {"me": tukio.current_task().template.uid}

    @task
    async def slow(event: tukio.Event) -> dict[str, Any]:
        await anyio.sleep(10)
        return {"slow": True}

    @task
    async def fails(event: tukio.Event) -> None:
        raise LookupError("no such page")

    @task
    async def stubborn(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)

    @task
    async def stops(event: tukio.Event) -> dict[str, Any]:
        tukio.current_workflow().set_next_tasks([])
        return {"stopped": True}


async def ended(
    what: str, act: Callable[[tukio.Workflow], object] | None = None, **fields: Any
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it after a second."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow(what, **fields), {})
        if act is not None:
            await anyio.sleep(1)
            act(run)
    return run


async def test_all_went_well() -> None:
    """`wait(check=True)` and `await` return, and `ok` is True."""
    run = await ended("fine slow")
    assert (run.ok, run.status, run.unhandled) == (True, "finished", {})
    assert await run.wait(check=True) is tukio.FutureState.finished
    assert await run == set(run.tasks)
    assert run.output == {"slow": {"slow": True}}


async def test_a_task_failed() -> None:
    """The run has finished, as in 1.x, and nobody is told that all is well."""
    run = await ended("fine fails slow")
    assert run.state is tukio.FutureState.finished
    assert (run.ok, run.status) == (False, "flawed")
    for wait in (run.wait(check=True), run._checked()):
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await wait
        assert caught.value.message == "workflow 'flow' finished with errors"
        assert caught.value.exceptions == (run.errors["fails"],)
    assert await run.wait() is tukio.FutureState.finished
    assert run.unhandled == run.errors
    assert run.output == {}


async def test_a_task_reached_its_limit() -> None:
    """It flows on as in 1.x, and is no error of a task; but it did not go well."""
    run = await ended("slow fine", limits={"slow": 2})
    assert (run.ok, run.status, run.errors) == (False, "flawed", {})
    with pytest.raises(tukio.WorkflowFailed) as caught:
        await run
    (error,) = caught.value.exceptions
    assert isinstance(error, TaskTimedOut)
    assert isinstance(error, TimeoutError)
    assert str(error) == "task 'slow' has reached its time limit of 2 s"
    assert run.unhandled.keys() == {"slow"}
    assert run.output == {"fine": {"me": "fine"}}


async def test_a_task_was_cancelled_alone() -> None:
    """The run goes on, and did not go well."""
    run = await ended("fine slow", lambda run: step_of(run, "slow").cancel())
    assert (run.ok, run.status, run.errors) == (False, "flawed", {})
    with pytest.raises(tukio.WorkflowFailed) as caught:
        await run
    (error,) = caught.value.exceptions
    assert isinstance(error, TaskCancelled)
    assert str(error) == "task 'slow' was cancelled, and nothing that follows it was run"


async def test_an_error_ended_the_run() -> None:
    """The group is the same whoever looks, and does not grow by looking."""
    run = await ended("fine fails", on_error="abort")
    assert (run.ok, run.status) == (False, "failed")
    depths: list[int] = []
    for _ in range(5):
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await run
        assert caught.value.message == "workflow 'flow' failed"
        depth, traceback = 0, caught.value.__traceback__
        while traceback is not None:
            depth, traceback = depth + 1, traceback.tb_next
        depths.append(depth)
    assert len(set(depths)) == 1


async def test_the_run_reached_its_limit() -> None:
    """Never `CancelledError`: that would be the fate of whoever waits."""
    run = await ended("slow", timeout=3)
    assert (run.ok, run.status, run.unhandled) == (False, "timeout", {})
    for _ in range(2):
        with pytest.raises(tukio.WorkflowTimedOut):
            await run
    with pytest.raises(TimeoutError):
        await run.wait(check=True)


async def test_the_run_was_cancelled() -> None:
    """With the reason, in the error, the last event and the report."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(flow("slow"), {})
        await anyio.sleep(1)
        assert run.cancel("the user went away")
        run.cancel("and then some")
        assert run.status == "closing"
        with pytest.raises(tukio.WorkflowCancelled) as caught:
            await run
    assert (run.ok, run.status, run.unhandled) == (False, "cancelled", {})
    assert caught.value.reason == "the user went away"
    assert str(caught.value) == f"workflow {run.uid} was cancelled: the user went away"
    assert story[-1][2] == {"cancel": True, "reason": "the user went away"}
    assert run.report()["exec"]["reason"] == "the user went away"
    decoded = tukio.report_from_json(tukio.report_to_json(run.report()))
    assert decoded["exec"]["reason"] == "the user went away"


async def test_a_kind_of_text_is_a_reason_as_that_text() -> None:
    """A member of an enum goes through JSON, and is read by people."""

    class Why(str, enum.Enum):  # noqa: UP042 - shown by its name, as in older code
        GONE = "the user went away"

    run = await ended("slow", lambda run: run.cancel(Why.GONE))
    with pytest.raises(tukio.WorkflowCancelled) as caught:
        await run
    assert str(caught.value) == f"workflow {run.uid} was cancelled: the user went away"
    assert type(caught.value.reason) is str
    assert type(run.report()["exec"]["reason"]) is str


async def test_without_a_reason_all_is_as_it_was() -> None:
    """No word of it anywhere."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(flow("slow"), {})
        await anyio.sleep(1)
        run.cancel()
        with pytest.raises(tukio.WorkflowCancelled) as caught:
            await run
    assert caught.value.args == (run.uid,)
    assert story[-1][2] == {"cancel": True}
    assert "reason" not in run.report()["exec"]


async def test_a_limit_that_came_first_has_no_reason() -> None:
    """A later cancellation changes nothing of how the run ended."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("stubborn", timeout=1), {})
        await anyio.sleep(2)
        run.cancel("too late")
        with pytest.raises(tukio.WorkflowTimedOut):
            await run
    assert "reason" not in run.report()["exec"]


async def test_errors_of_tasks_are_the_cause_of_a_cut() -> None:
    """None is lost, though the run ended for another reason (G7)."""
    graph = {"fine": ["fails", "slow"]}
    async with tukio.Engine() as engine:
        run = await engine.start(flow(graph), {})
        await anyio.sleep(1)
        run.cancel()
        with pytest.raises(tukio.WorkflowCancelled) as caught:
            await run
    cause = caught.value.__cause__
    assert isinstance(cause, tukio.WorkflowFailed)
    assert cause.exceptions == (run.errors["fails"],)


async def test_the_words_on_the_way() -> None:
    """Of a run that waits, begins, is suspended, unwinds and does not come to its end."""
    words: list[str] = []
    template = flow("stubborn", policy="abort-running")
    async with tukio.Engine() as engine:
        first = await engine.start(template, {})
        await anyio.sleep(1)
        words += [first.status, str(first.ok)]
        second = await engine.start(template, {})
        words += [second.status, first.status]
        await anyio.sleep(8)
        words.append(first.status)
        await first.wait()
        await anyio.sleep(1)
        second.suspend()
        words.append(second.status)
        second.cancel()
    assert words == ["running", "None", "queued", "closing", "stuck", "suspended"]
    assert (first.status, second.status) == ("cancelled", "cancelled")


async def test_the_output_is_where_the_run_came_to_an_end() -> None:
    """Its last tasks, and those that have chosen no successor."""
    graph = {"fine": ["stops", "slow", "fails"], "stops": ["end"]}
    async with tukio.Engine() as engine:
        run = await engine.start(flow(graph, names={"end": "fine"}), {})
        await anyio.sleep(1)
        assert run.output == {"stops": {"stopped": True}}
    assert run.output == {"stops": {"stopped": True}, "slow": {"slow": True}}
    run.output["slow"]["slow"] = False
    assert run.output["slow"] == {"slow": True}


async def test_who_waits_may_be_cut() -> None:
    """Only the waiting ends, on every backend."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("slow"), {})
        for wait in (run.wait(check=True), run._checked()):
            with anyio.move_on_after(1) as scope:
                await wait
            assert scope.cancelled_caught
        assert run.status == "running"
    assert run.ok


async def test_a_report_without_data() -> None:
    """It is short: ids, states, times, choices and errors; and cannot be rescued."""
    run = await ended("fine fails")
    report = run.report(data=False)
    assert report["tasks"][0]["exec"].keys() == {"id", "start", "end", "state"}
    assert report["tasks"][1]["exec"]["error"]["type"] == "LookupError"
    whole = run.report()
    for task, other in zip(report["tasks"], whole["tasks"], strict=True):
        assert task["exec"].items() <= other["exec"].items()
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.RescueError):
            await engine.rescue(flow("fine fails"), report)
