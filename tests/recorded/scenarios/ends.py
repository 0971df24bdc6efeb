"""How tasks and runs end: errors, time limits, cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import tukio
from tukio.task import TukioTaskError
from tukio.utils import FutureState

from ..stage import add, pause, this_task, this_workflow

if TYPE_CHECKING:
    from ..stage import Stage

FORK = {"a": ["b", "x"], "b": ["c"], "x": ["y"]}


def _failing_task(stage: Stage) -> None:
    @stage.task
    async def fails(event: Any) -> None:
        raise KeyError("boom")


def _torn_down(stage: Stage, output: Any) -> None:
    """Register a holder that says when it is cleaned up after."""

    @stage.task
    class TornDown(tukio.TaskHolder):
        async def execute(self, event: Any) -> Any:
            await asyncio.sleep(self.config["for"])
            return await add(event)

        def teardown(self) -> Any:
            stage.note(f"teardown of {self.config['of']}", "called")
            return output


def _to_be_torn_down(uid: str, seconds: float, **fields: Any) -> Any:
    return {"name": "TornDown", "config": {"of": uid, "for": seconds}, **fields}


async def error_at_the_root(stage: Stage) -> None:
    """Nothing follows; the run ends all the same."""
    _failing_task(stage)
    await stage.play("a b", {"a": "fails"})


async def error_in_the_middle(stage: Stage) -> None:
    """The branch stops, the other goes on."""
    _failing_task(stage)
    await stage.play(FORK, {"b": "fails"})


async def error_at_a_leaf(stage: Stage) -> None:
    """The error of the last task."""
    _failing_task(stage)
    await stage.play("a b", {"b": "fails"})


async def error_after_a_while(stage: Stage) -> None:
    """Siblings that are at work when a task fails go on."""

    @stage.task
    async def fails_late(event: Any) -> None:
        await asyncio.sleep(0.1)
        raise ValueError("late", 3)

    await stage.play(FORK, {"b": "fails_late", "x": pause(0.2)})


async def task_error_with_data(stage: Stage) -> None:
    """A task may fail with an output of its own choice."""

    @stage.task
    async def fails_with_data(event: Any) -> None:
        raise TukioTaskError({"code": 3})

    await stage.play("a b", {"a": "fails_with_data"})


async def task_error_with_text(stage: Stage) -> None:
    """Which may be anything."""

    @stage.task
    async def fails_with_text(event: Any) -> None:
        raise TukioTaskError("text")

    await stage.play("a b c", {"b": "fails_with_text"})


async def timeout_of_a_function(stage: Stage) -> None:
    """A function past its limit: its successors get its inputs."""

    @stage.task
    async def slow(event: Any) -> None:
        await asyncio.sleep(1)

    await stage.play("a b c", {"b": {"name": "slow", "timeout": 0.1}})


async def timeout_with_teardown(stage: Stage) -> None:
    """A holder past its limit: its successors get what `teardown` returns."""
    _torn_down(stage, {"partial": 1})
    await stage.play("a b", {"a": _to_be_torn_down("a", 1, timeout=0.1)})


async def timeout_with_silent_teardown(stage: Stage) -> None:
    """If it returns nothing, they get the inputs."""
    _torn_down(stage, None)
    await stage.play("a b", {"a": _to_be_torn_down("a", 1, timeout=0.1)})


async def timeout_not_reached(stage: Stage) -> None:
    """Within its limit a task ends as ever, and so does the run."""
    _torn_down(stage, {"partial": 1})
    await stage.play("a b", {"a": _to_be_torn_down("a", 0.1, timeout=0.2)}, timeout=1)


async def timeout_beside_others(stage: Stage) -> None:
    """The limit of one task is not that of its siblings."""
    await stage.play(FORK, {"b": pause(1, timeout=0.1), "x": pause(0.3)})


async def timeout_of_zero(stage: Stage) -> None:
    """Zero is no limit."""
    await stage.play("a", {"a": pause(0.1, timeout=0)}, timeout=0)


async def timeout_answered_with_a_result(stage: Stage) -> None:
    """A task that catches the cancellation and returns has finished."""

    @stage.task
    async def answers(event: Any) -> Any:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:  # noqa: ASYNC103
            return {"answer": 1}  # noqa: ASYNC104

    await stage.play("a b", {"a": {"name": "answers", "timeout": 0.1}})


async def workflow_timeout(stage: Stage) -> None:
    """A run past its limit: all its tasks are cancelled, and cleaned up after."""
    _torn_down(stage, {"partial": 1})
    tasks = {"b": _to_be_torn_down("b", 1), "x": pause(0.1), "y": pause(1)}
    workflow = await stage.play(FORK, tasks, timeout=0.5)
    stage.note("timed out", workflow.timed_out)


async def workflow_cancel(stage: Stage) -> None:
    """A run that is cancelled: likewise."""
    _torn_down(stage, {"partial": 1})
    tasks = {"b": _to_be_torn_down("b", 1), "x": pause(0.1), "y": pause(1)}
    workflow = await stage.start(FORK, tasks)
    await asyncio.sleep(0.5)
    stage.note("cancel", workflow.cancel())
    await stage.over(workflow)
    stage.note("timed out", workflow.timed_out)


async def workflow_cancels_itself(stage: Stage) -> None:
    """A task may cancel its own run; it notices when it next waits."""

    @stage.task
    async def cancels(event: Any) -> None:
        this_workflow().cancel()
        stage.note("goes on", "to its next await")
        await asyncio.sleep(1)
        stage.note("goes on", "too far")

    await stage.play("a b", {"a": "cancels"})


async def task_cancelled_from_outside(stage: Stage) -> None:
    """One task that is cancelled stops its branch, and no other; no teardown."""
    _torn_down(stage, {"partial": 1})
    held = {}

    @stage.task
    async def tells(event: Any) -> None:
        held["task"] = this_task()
        await asyncio.sleep(1)

    workflow = await stage.start(FORK, {"b": "tells", "x": pause(0.2)})
    await asyncio.sleep(0.1)
    held["task"].cancel()
    await stage.over(workflow)


async def task_cancels_itself(stage: Stage) -> None:
    """A task that raises CancelledError is cancelled."""

    @stage.task
    async def gives_up(event: Any) -> None:
        await asyncio.sleep(0.1)
        raise asyncio.CancelledError

    await stage.play(FORK, {"b": "gives_up", "x": pause(0.2)})


async def report_while_running(stage: Stage) -> None:
    """A report can be taken at any time."""
    workflow = await stage.start("a b c", {"b": pause(1)})
    await asyncio.sleep(0.5)
    report = workflow.report()
    stage.note("report", report)
    await stage.over(workflow)


async def suspend_and_resume(stage: Stage) -> None:
    """A suspended task is run again from scratch; those that are over are not."""

    @stage.task
    async def long(event: Any) -> Any:
        stage.note("long got", event.data)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            stage.note("long", "interrupted")
            raise
        return await add(event)

    workflow = await stage.start("a b c", {"b": "long"})
    await asyncio.sleep(0.3)
    workflow.suspend()
    await stage.settle()
    stage.note("state", FutureState.get(workflow).value)
    stage.note("committed", workflow.committed)
    await asyncio.sleep(0.3)
    workflow.resume()
    stage.note("committed", workflow.committed)
    await stage.over(workflow)


async def suspended_report(stage: Stage) -> None:
    """What a report says of a suspended run."""
    workflow = await stage.start("a b", {"b": pause(1)})
    await asyncio.sleep(0.5)
    workflow.suspend()
    await stage.settle()
    stage.note("report", workflow.report())
    workflow.resume()
    await stage.over(workflow)


async def awaited(stage: Stage) -> None:
    """A run can be awaited, also when it is over."""
    workflow = await stage.start("a b", {"a": pause(0.1)})
    result = await workflow
    stage.note("tasks", sorted(task.template.uid for task in result))
    stage.note("again", await workflow is result)
    await stage.over(workflow)


async def awaited_and_cancelled(stage: Stage) -> None:
    """Who awaits a run that is cancelled gets a CancelledError."""
    workflow = await stage.start("a b", {"a": pause(1)})
    asyncio.get_running_loop().call_later(0.1, workflow.cancel)
    try:
        await workflow
    except asyncio.CancelledError:  # noqa: ASYNC103
        stage.note("awaited", "cancelled")  # noqa: ASYNC104
    stage.note("cancelled", workflow.cancelled())
    await stage.over(workflow)


async def awaited_together(stage: Stage) -> None:
    """`gather` and `wait` work as for any future; `wait` with a limit lets the run go on."""
    first = await stage.start("a b", {"a": pause(0.1)})
    done, pending = await asyncio.wait([first], timeout=0.05)
    stage.note("wait", [len(done), len(pending)])
    second = await stage.engine.trigger("flow", {"n": 2})
    results = await asyncio.gather(first, second)
    stage.note("gathered", [sorted(task.template.uid for task in result) for result in results])
    await stage.over(first, second)


async def awaited_with_a_limit(stage: Stage) -> None:
    """`wait_for` cancels the run when its limit is reached."""
    workflow = await stage.start("a b", {"a": pause(1)})
    await stage.refuses("wait_for", asyncio.TimeoutError, asyncio.wait_for, workflow, 0.1)
    stage.note("cancelled", workflow.cancelled())
    await stage.over(workflow)


async def done_callback(stage: Stage) -> None:
    """A run calls back when it is over."""
    workflow = await stage.start("a b", {"a": pause(0.1)})

    def called(run: Any) -> None:
        stage.note("called with it", run is workflow)

    workflow.add_done_callback(called)
    await stage.over(workflow)
