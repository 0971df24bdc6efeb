"""A task that is a run of its own: how it begins, ends and fails, and its retries."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import tukio
from support.children import Begun, child_in, ended, inner, outer, since, the_child
from support.flow import Tasks, listen, step_of

# Its begin and its end ----------------------------------------------------------------------------


async def test_a_task_is_a_run_of_a_loaded_template(begun: Begun) -> None:
    """It is given the data of its parent, and hands over what its one end task returned."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(outer(), {"k": 1}, id="a/b")
        await anyio.sleep(0.5)
        child = the_child(engine)
        assert (child.uid, child.parent, run.parent) == ("a%2Fb/sub/1", run, None)
        assert engine.get("a%2Fb/sub/1") is child
        assert engine.instances == [run, child]
        assert (run.status, child.status) == ("waiting", "running")
        await run.wait(check=True)
        assert engine.instances == []
    assert since(begun) == [(0, "first"), (0, "in"), (0, "nap"), (1, "last")]
    assert run.output == {"last": {"k": 1, "first": 1, "in": 1, "nap": 1, "last": 1}}
    assert step_of(run, "sub").outputs == {"k": 1, "first": 1, "in": 1, "nap": 1}
    assert child.parent is run


async def test_it_holds_no_driver(begun: Begun) -> None:
    """A run that waits for its child is data."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        assert (list(run._run.drivers), run._run.driver_pending) == ([], False)
        assert len(the_child(engine)._run.drivers) == 1


async def test_several_end_tasks_are_handed_over_by_their_ids(begun: Begun) -> None:
    """Those that failed are missing."""
    tasks = [
        {"id": uid, "name": name} for uid, name in [("in", "quick"), ("a", "nap"), ("b", "boom")]
    ]
    document = {"id": "inner", "tasks": tasks, "graph": {"in": ["a", "b"]}}
    run = await ended(outer(document))
    assert step_of(run, "sub").outputs == {"a": {"first": 1, "in": 1, "a": 1}}
    assert step_of(run, "last").inputs == {"a": {"first": 1, "in": 1, "a": 1}}


async def test_what_is_no_dict_cannot_be_passed_on(task: Tasks, begun: Begun) -> None:
    """As of any task: it fails, and who looks finds what it was."""

    @task
    async def five(event: tukio.Event) -> int:
        return 5

    run = await ended(outer(inner("five")))
    assert isinstance(run.errors["sub"], TypeError)
    assert (run.status, step_of(run, "sub").outputs) == ("flawed", 5)


async def test_a_child_without_a_result_passes_the_inputs_on(task: Tasks, begun: Begun) -> None:
    """As a task that returns None."""

    @task
    async def nothing(event: tukio.Event) -> None: ...

    run = await ended(outer(inner("nothing")), {"k": 1})
    assert (run.ok, step_of(run, "last").inputs) == (True, {"k": 1, "first": 1})


async def test_the_source_of_its_event_is_the_task(task: Tasks, begun: Begun) -> None:
    """So a child can be told from one that somebody has started."""
    found: list[Any] = []

    @task
    async def look(event: tukio.Event) -> None:
        found.append(event.source)

    run = await ended(outer(inner("look")))
    assert found == [step_of(run, "sub").source]


async def test_a_child_is_a_child_of_a_child(begun: Begun) -> None:
    """Ids nest, and each part is escaped once more."""
    middle = {"id": "middle", "tasks": [{"id": "m", "workflow": inner()}]}
    async with tukio.Engine() as engine:
        run = await engine.start(outer(middle), {}, id="r%")
        await anyio.sleep(0.5)
        assert [one.uid for one in engine.instances] == ["r%", "r%25/sub/1", "r%2525%2Fsub%2F1/m/1"]
    assert run.ok


async def test_events_of_both_are_told_in_order(begun: Begun) -> None:
    """The task begins before its child, and ends after it."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.start(outer(inner("in")), {})
    told = [kind if uid is None else f"{kind} {uid}" for kind, uid, _ in story]
    assert told == [
        "workflow-begin",
        *("task-begin first", "task-end first"),
        "task-begin sub",
        *("workflow-begin", "task-begin in", "task-end in", "workflow-end"),
        "task-end sub",
        *("task-begin last", "task-end last"),
        "workflow-end",
    ]


# How it fails -------------------------------------------------------------------------------------


async def test_a_child_that_fails_makes_its_task_fail(begun: Begun) -> None:
    """With a group of all errors, none of which is lost."""
    run = await ended(outer(inner("boom", on_error="abort")))
    error = run.errors["sub"]
    assert isinstance(error, tukio.WorkflowFailed)
    assert [str(one) for one in error.exceptions] == ["boom"]
    assert (run.status, "last" in run.outputs) == ("flawed", False)
    shown = run.report()["tasks"][1]["exec"]
    assert (shown["error"]["leaves"][0]["message"], shown.get("child")) == ("boom", None)


async def test_a_failed_child_aborts_a_run_that_says_so(begun: Begun) -> None:
    """The failure of the run has the group of the child within."""
    run = await ended(outer(inner("boom", on_error="abort"), more={"on_error": "abort"}))
    with pytest.raises(tukio.WorkflowFailed) as failure:
        await run.wait(check=True)
    (group,) = failure.value.exceptions
    assert isinstance(group, tukio.WorkflowFailed)
    assert run.status == "failed"


async def test_a_child_that_finishes_with_errors_finishes_its_task(begun: Begun) -> None:
    """The run goes on, and did not go well; the errors are in the report, that of the child too."""
    run = await ended(outer(inner("in boom")))
    assert (step_of(run, "sub").state.value, step_of(run, "last").state.value) == ("finished",) * 2
    assert (run.status, list(run.errors), list(run.unhandled)) == ("flawed", ["sub"], ["sub"])
    report = run.report()
    assert report["tasks"][1]["exec"]["error"]["leaves"][0]["message"] == "boom"
    assert child_in(report)["tasks"][1]["exec"]["error"] == {
        "type": "ValueError",
        "message": "boom",
    }


async def test_a_child_at_its_own_limit_makes_its_task_fail(begun: Begun) -> None:
    """By `WorkflowTimedOut`, whatever the task says of its own limit."""
    run = await ended(outer(inner(timeout=0.5), on_timeout="continue"), after=2)
    assert isinstance(run.errors["sub"], tukio.WorkflowTimedOut)
    assert run.status == "flawed"


async def test_a_child_that_somebody_cancels_makes_its_task_fail(begun: Begun) -> None:
    """By `WorkflowCancelled`, with the reason."""
    run = await ended(outer(inner()), act=lambda _, child: child.cancel("not wanted"))
    error = run.errors["sub"]
    assert type(error) is tukio.WorkflowCancelled
    assert error.reason == "not wanted"


async def test_an_unknown_template_is_told_when_the_task_begins(begun: Begun) -> None:
    """It may be loaded later than what leads to it, and be unloaded."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(outer("iner"), {})
    error = run.errors["sub"]
    assert isinstance(error, LookupError)
    assert str(error) == "no workflow is loaded as 'iner' - did you mean 'inner'?"


async def test_a_run_goes_on_with_a_template_that_was_unloaded(begun: Begun) -> None:
    """It was started from it."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(outer(), {})
        await anyio.sleep(0.5)
        await engine.unload("inner")
    assert run.ok


async def test_the_overrun_policy_of_a_child_is_not_asked(begun: Begun) -> None:
    """Two of them run at once."""
    async with tukio.Engine() as engine:
        await engine.load(inner(policy="skip"))
        runs = [await engine.start(outer(), {}) for _ in range(2)]
    assert [run.ok for run in runs] == [True, True]
    assert [at for at, uid in since(begun) if uid == "nap"] == [0, 0]


async def test_a_selector_may_wait_for_the_template(begun: Begun) -> None:
    """As for a start; what cuts the task meanwhile leaves no child."""

    class Slow:
        async def get(self, uid: str) -> tukio.WorkflowTemplate:
            await anyio.sleep(1)
            return tukio.WorkflowTemplate.from_dict(inner())

    async with tukio.Engine(selector=Slow()) as engine:
        run = await engine.start(outer(), {})
        cut = await engine.start(outer(), {})
        await anyio.sleep(0.5)
        cut.cancel()
        await anyio.sleep(0.1)
        assert engine.instances == [run]
    assert run.ok
    assert since(begun)[-2:] == [(1, "nap"), (2, "last")]


async def test_there_are_32_runs_above_a_run_at_most(begun: Begun) -> None:
    """The error names the way that leads there."""
    async with tukio.Engine() as engine:
        await engine.load({"id": "loop", "on_error": "abort", "tasks": [{"workflow": "loop"}]})
        run = await engine.start("loop", {})
    error: Any = run._run.failure
    depth = 0
    while isinstance(error, BaseExceptionGroup):
        error, depth = error.exceptions[0], depth + 1
    assert (depth, type(error)) == (33, RecursionError)
    assert str(error).startswith("33 runs, each the child of another one, and 32 at most: 'loop' >")


async def test_a_run_without_an_engine_has_no_children(begun: Begun, backend: str) -> None:
    """On asyncio there are such runs, as in 1.x."""
    if backend == "trio":
        return
    run = tukio.Workflow(outer(inner()))
    run.run({})
    await run.wait()
    assert isinstance(run.errors["sub"], tukio.EngineError)


# Retry --------------------------------------------------------------------------------------------


async def test_a_retry_is_a_new_child(begun: Begun) -> None:
    """With the number of the attempt in its id."""
    ids: list[str] = []
    async with tukio.Engine() as engine:
        engine.tap(lambda kind, run, *_: ids.extend([run.uid] * (kind == "workflow-begin")))
        template = outer(
            inner("flaky", on_error="abort"), retry={"attempts": 3, "jitter": "none", "initial": 1}
        )
        run = await engine.start(template, {"good": 3}, id="run")
    assert ids == ["run", "run/sub/1", "run/sub/2"]
    assert (run.ok, since(begun)) == (
        True,
        [(0, "first"), (0, "flaky"), (1, "flaky"), (1, "last")],
    )


async def test_the_time_for_all_attempts_cuts_the_child(begun: Begun) -> None:
    """What `within` says ends the task, and with it the child."""
    retry = {"attempts": 5, "within": 0.75}
    run = await ended(outer(inner(), retry=retry))
    assert isinstance(run.errors["sub"], TimeoutError)
    assert step_of(run, "sub").attempt == 1
