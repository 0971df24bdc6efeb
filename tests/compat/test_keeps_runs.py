"""How a run of tukio 1.1.2 is suspended, resumed, and rescued by its report is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import execution, flow, kinds, listen, states, step_of
from tukio.testing.clock import settle
from tukio.utils import SkipTask
from tukio.workflow import Workflow

if TYPE_CHECKING:
    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
SUSPENDED = tukio.FutureState.suspended
TIMEOUT = tukio.FutureState.timeout
as_in_1_x = pytest.mark.backends("asyncio", "uvloop")

QUICK = dict.fromkeys("abcde", "quick")
FORK = {"a": ["b", "c"], "b": ["d"], "c": ["e"]}


def slow(*ids: str) -> dict[str, str]:
    """Return names by which these tasks are `slow` and the others `quick`."""
    return QUICK | dict.fromkeys(ids, "slow")


# Suspending ---------------------------------------------------------------------------------------


async def test_a_suspended_run_is_run_again_where_it_was(ran: list[str], task: Tasks) -> None:
    """Tasks at work are run again from scratch, by a new id and with the same inputs.

    Those that are over are not.
    """
    got: list[tuple[str, Any]] = []

    @task
    async def long(event: tukio.Event) -> dict[str, Any]:
        got.append((tukio.current_task().uid, dict(event.data)))
        event.data["spoilt"] = True
        await anyio.sleep(10)
        return {"long": 1}

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        names = {"a": "quick", "b": "long", "c": "quick"}
        run: Any = await engine.run_once(flow("a b c", names=names), {"in": 0})
        await anyio.sleep(3)
        assert run.committed
        run.suspend()
        await settle()
        assert run.state is SUSPENDED
        assert not run.committed
        assert states(run) == {"a": "finished", "b": "suspended", "c": None}
        await anyio.sleep(100)
        assert ran == ["a"]
        run.resume()
        assert run.committed
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 113
    (first, before), (second, after) = got
    assert before == after == {"in": 0, "a": 1}
    assert first != second == step_of(run, "b").uid
    assert ran == ["a", "c"]
    assert states(run) == dict.fromkeys("abc", "finished")


async def test_all_tasks_at_work_are_suspended(task: Tasks, ran: list[str]) -> None:
    """They are cancelled, without a teardown."""
    story: list[str] = []

    @task
    class Torn(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            story.append("begin")
            try:
                await anyio.sleep(10)
            finally:
                story.append("end")

        def teardown(self) -> None:
            story.append("teardown")

    async with tukio.Engine() as engine:
        names = QUICK | {"b": "Torn", "c": "slow"}
        run: Any = await engine.run_once(flow(FORK, names=names), {})
        await anyio.sleep(1)
        run.suspend()
        await settle()
        assert states(run) == {
            "a": "finished",
            "b": "suspended",
            "c": "suspended",
            "d": None,
            "e": None,
        }
        assert story == ["begin", "end"]
        assert ran == ["a", "c"]
        run.resume()
        assert await run.wait() is FINISHED

    assert story == ["begin", "end", "begin", "end"]
    assert sorted(ran) == ["a", "c", "c", "d", "e"]


async def test_a_suspended_run_is_an_instance(ran: list[str]) -> None:
    """It is not over, and the engine waits for it."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names=slow("a")), {})
        await anyio.sleep(1)
        run.suspend()
        await anyio.sleep(60)
        assert engine.instances == [run]
        engine.stop()
        await settle()
        assert not engine.done()
        run.resume()
        await engine
        assert run.state is FINISHED


async def test_to_suspend_twice_or_to_resume_what_is_not_suspended_does_nothing(
    ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised and nothing told; a `resume` out of turn is an error in the log."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(flow("a", names=slow("a")), {})
        await anyio.sleep(1)
        run.resume()
        run.suspend()
        await settle()
        run.suspend()
        run.resume()
        await settle()
        run.resume()
        assert await run.wait() is FINISHED

    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert kinds(story) == [
        "workflow-begin",
        "task-begin a",
        "workflow-suspend",
        "task-begin a",
        "workflow-resume",
        "task-end a",
        "workflow-end",
    ]


@as_in_1_x
async def test_a_workflow_that_has_not_been_run_cannot_be_suspended(ran: list[str]) -> None:
    """It can still be run."""
    run: Any = Workflow(flow("a", names=QUICK))
    run.suspend()
    assert not run.committed
    run.run({})
    await run
    assert ran == ["a"]


async def test_the_limit_of_a_workflow_goes_on_while_it_is_suspended(ran: list[str]) -> None:
    """The clock is not paused; a suspended run that reaches it ends `timeout`."""
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a", names=slow("a"), timeout=30), {})
        await anyio.sleep(1)
        run.suspend()
        assert await run.wait() is TIMEOUT

    assert anyio.current_time() - start == 30
    assert run.timed_out


# Rescue -------------------------------------------------------------------------------------------


async def report_of(template: tukio.WorkflowTemplate, after: float, how: str = "running") -> Any:
    """Return the report of a run, as it was so many seconds after its start."""
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {"in": 0})
        await anyio.sleep(after)
        if how == "suspended":
            run.suspend()
            await settle()
        if how == "cancelled":
            run.cancel()
            await run.wait()
        report = run.report()
        run.cancel()
        await run.wait()
    return report


@pytest.mark.parametrize("how", ["running", "suspended", "cancelled"])
async def test_a_rescued_run_goes_on_where_it_was(ran: list[str], how: str) -> None:
    """It has its id and its start; what is over stays, what is not is run again."""
    template = flow("a b c", names=slow("b"))
    report = await report_of(template, 3, how)
    assert ran == ["a", "b"]
    ran.clear()
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        assert engine.instances == [run]
        assert await run.wait() is FINISHED

    assert anyio.current_time() - start == 10
    assert ran == ["b", "c"]
    assert run.uid == report["exec"]["id"]
    assert run.report()["exec"]["start"] == report["exec"]["start"]
    assert run.report()["tasks"][0] == report["tasks"][0]
    assert run.outputs == {
        "a": {"in": 0, "a": 1},
        "b": {"in": 0, "a": 1, "b": 1},
        "c": {"in": 0, "a": 1, "b": 1, "c": 1},
    }
    assert execution(run, "b")["id"] != report["tasks"][1]["exec"]["id"]


async def test_a_root_that_was_at_work_is_run_again_with_its_inputs(ran: list[str]) -> None:
    """The data that started the run."""
    template = flow("a b", names=slow("a"))
    report = await report_of(template, 3)
    ran.clear()
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        assert await run.wait() is FINISHED

    assert ran == ["a", "b"]
    assert execution(run, "a")["inputs"] == {"in": 0}


@pytest.mark.parametrize("how", ["skipped", "timeout", "exception"])
async def test_a_task_with_another_end_is_not_run_again_either(
    task: Tasks, ran: list[str], how: str
) -> None:
    """Skipped, failed and timed out count as over."""

    @task
    async def ends(event: tukio.Event) -> None:
        ran.append("ends")
        if how == "skipped":
            raise SkipTask("why")
        if how == "exception":
            raise KeyError("boom")
        await anyio.sleep(60)

    names = slow("c") | {"b": "ends"}
    template = flow({"a": ["b", "c"]}, names=names, limits={"b": 1})
    report = await report_of(template, 3)
    assert ran == ["a", "ends", "c"]
    ran.clear()
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        assert await run.wait() is FINISHED

    assert ran == ["c"]
    assert states(run) == {"a": "finished", "b": how, "c": "finished"}


async def test_a_task_that_was_not_reached_gets_what_its_parent_returned(ran: list[str]) -> None:
    """A report without its execution is enough."""
    template = flow("a b", names=slow("b"))
    report = await report_of(template, 3)
    report["tasks"][1]["exec"] = None
    ran.clear()
    async with tukio.Engine() as engine:
        run: Any = await engine.rescue(template, report)
        assert await run.wait() is FINISHED

    assert ran == ["b"]
    assert execution(run, "b")["inputs"] == {"in": 0, "a": 1}


async def test_a_report_of_a_run_that_never_started_is_a_rescue_error(ran: list[str]) -> None:
    """There is nothing to go on with; no run is left behind."""
    template = flow("a", names=slow("a"))
    report = await report_of(template, 1)
    report["tasks"][0]["exec"] = None
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.workflow.RescueError):
            await engine.rescue(template, report)
        assert engine.instances == []


async def test_a_rescue_minds_no_policy(ran: list[str]) -> None:
    """It runs beside another run of its template, and counts for those that follow."""
    template = flow("a", names=slow("a"), policy="skip")
    report = await report_of(template, 1)
    async with tukio.Engine() as engine:
        await engine.load(template)
        first: Any = await engine.trigger("flow", {})
        rescued: Any = await engine.rescue(template, report)
        assert engine.instances == [first, rescued]
        await anyio.sleep(5)
        first.cancel()
        await first.wait()
        assert not await engine.trigger("flow", {})


@as_in_1_x
async def test_a_workflow_is_fast_forwarded_by_its_report(ran: list[str]) -> None:
    """It takes over the id and the start, and does what is left."""
    first: Any = Workflow(flow("a b c", names=slow("b")))
    first.run({"n": 1})
    await asyncio.sleep(5)
    report = first.report()
    first.cancel()
    await asyncio.wait([first])
    second: Any = Workflow(flow("a b c", names=slow("b")))
    second.fast_forward(report)
    await second
    assert second.uid == first.uid
    assert second.report()["exec"]["start"] == report["exec"]["start"]
    assert ran == ["a", "b", "b", "c"]
