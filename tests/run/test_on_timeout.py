"""What follows when a task has reached its limit: it goes on, or it has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, listen, step_of
from tukio.errors import RecordedError, TaskTimedOut
from tukio.task import TaskRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Holder(tukio.TaskHolder):
    """A task that waits, and hands over what it has when it is cut."""

    async def execute(self, event: tukio.Event) -> None:
        """Wait for longer than any limit."""
        await anyio.sleep(10)

    async def teardown(self) -> Any:
        """Return what the config says; or raise it."""
        result = self.config["teardown"]
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture(autouse=True)
def steps(task: Tasks) -> Iterator[None]:
    """Register what is run."""

    @task
    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(10)

    @task
    async def late(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(3)
        raise LookupError("late")

    @task
    async def fine(event: tukio.Event) -> None: ...

    TaskRegistry.register(Holder, "holds")
    yield
    TaskRegistry.remove("holds")


def limited(
    name: str, on_timeout: str | None, teardown: object = None, **fields: Any
) -> tukio.WorkflowTemplate:
    """Return a chain of a task with a limit of two seconds, and one that does nothing."""
    template = flow("a fine", names={"a": name}, limits={"a": 2}, **fields)
    [task, _] = template.tasks
    task.on_timeout = on_timeout
    task.config = {"teardown": teardown}
    return template


async def ended(
    template: tukio.WorkflowTemplate, act: Callable[[Any], object] | None = None
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it after a second."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"n": 1})
        if act is not None:
            await anyio.sleep(1)
            act(run)
    return run


@pytest.mark.parametrize("said", [None, "continue"])
async def test_it_goes_on(said: str | None) -> None:
    """Where the template says so, it went well; where nothing is said, it did not."""
    run = await ended(limited("slow", said))
    assert [step.state.value for step in run.tasks] == ["timeout", "finished"]
    assert run.errors == {}
    if said is None:
        assert (run.ok, run.status, list(run.unhandled)) == (False, "flawed", ["a"])
    else:
        assert (run.ok, run.status, run.unhandled) == (True, "finished", {})


async def test_it_has_failed() -> None:
    """Its branch stops, with a TimeoutError, which everybody is told of."""
    story: list[Any] = []
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(limited("slow", "fail"), {"n": 1})
        with pytest.raises(tukio.WorkflowFailed) as caught:
            await run.wait(check=True)
    [step] = run.tasks
    error = run.errors["a"]
    assert isinstance(error, TimeoutError)
    assert isinstance(error, TaskTimedOut)
    assert str(error) == "task 'a' has reached its time limit of 2 s"
    assert caught.value.exceptions == (error,)
    assert (step.state, step.timed_out) == (tukio.FutureState.exception, True)
    assert (run.ok, run.status, run.unhandled) == (False, "flawed", run.errors)
    assert story[-2:] == [("task-error", "a", {"exception": error}), ("workflow-end", None, None)]
    with pytest.raises(TimeoutError):
        step.result()


async def test_all_are_cut_if_the_workflow_says_so() -> None:
    """It has failed, so `on_error` decides."""
    run = await ended(limited("slow", "fail", on_error="abort"))
    assert (run.state, run.status) == (tukio.FutureState.exception, "failed")
    with pytest.raises(tukio.WorkflowFailed):
        await run.wait(check=True)


async def test_what_its_clean_up_returned_can_be_looked_at() -> None:
    """It goes nowhere, but it is not lost; what no successor could take is recorded, too."""
    run = await ended(limited("holds", "fail", {"half": 1}))
    assert run.report()["tasks"][0]["exec"]["outputs"] == {"half": 1}
    run = await ended(limited("holds", "fail", "no dict"))
    assert run.report()["tasks"][0]["exec"]["outputs"] == "no dict"
    assert kinds(run) == ["InvalidResult", "TaskTimedOut"]


@pytest.mark.parametrize("said", ["continue", "fail"])
async def test_the_errors_of_its_clean_up_are_never_overlooked(said: str) -> None:
    """Also where the template says that it goes on."""
    run = await ended(limited("holds", said, LookupError("teardown")))
    assert kinds(run) == ["LookupError", "TaskTimedOut"][: 1 + (said == "fail")]
    assert (run.ok, run.status) == (False, "flawed")


@pytest.mark.parametrize("said", ["continue", "fail"])
async def test_it_ends_late(said: str) -> None:
    """What it raised after its limit is an error, whatever else the template says."""
    run = await ended(limited("late", said))
    assert kinds(run) == ["LookupError", "TaskTimedOut"][: 1 + (said == "fail")]
    assert run.ok is False
    assert run.report()["tasks"][0]["exec"]["overran"] == 1


async def test_a_task_that_is_cut_as_if_it_had_reached_one() -> None:
    """`timeout()` of a task means what its limit means."""
    template = limited("slow", "fail")
    template.tasks[0].timeout = None
    run = await ended(template, lambda run: step_of(run, "a").timeout())
    assert str(run.errors["a"]) == "task 'a' has reached its time limit"


async def test_a_rescued_run_knows_why_it_failed() -> None:
    """It does not run again, and says what it said before."""
    template = flow(
        {"r": ["a", "b"], "a": ["c"]},
        names=dict.fromkeys("rc", "fine") | dict.fromkeys("ab", "slow"),
    )
    by_id = {task.uid: task for task in template.tasks}
    by_id["a"].timeout, by_id["a"].on_timeout = 2, "fail"
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(3)
        run.suspend()
        report = run.report()
        run.cancel()
    async with tukio.Engine() as engine:
        again: Any = await engine.rescue(template, report)
        await again.wait()
    assert isinstance(again.errors["a"], RecordedError)
    assert (step_of(again, "a").timed_out, step_of(again, "b").timed_out) == (True, False)
    assert (again.ok, "c" in again.outputs) == (False, False)


def kinds(run: tukio.Workflow) -> list[str]:
    """Return the names of the types of all errors of task `a`."""
    error = run.errors["a"]
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    return sorted(type(part).__name__ for part in parts)
