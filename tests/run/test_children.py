"""A task that is a run of its own: its begin and end, what cuts it, and what its report has."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import Tasks, flow, listen, step_of
from tukio._run.watchdog import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

Begun = list[tuple[float, str]]


@pytest.fixture
def begun(task: Tasks) -> Begun:
    """Register tasks; give a list of when each task of any run has begun, from 0 on."""
    found: Begun = []

    def note() -> None:
        found.append((anyio.current_time(), tukio.current_task().template.uid))

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        note()
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def nap(event: tukio.Event) -> dict[str, Any]:
        note()
        await anyio.sleep(event.data.get("takes", 1))
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def boom(event: tukio.Event) -> None:
        note()
        raise ValueError(event.data.get("say", "boom"))

    @task
    async def flaky(event: tukio.Event) -> dict[str, Any]:
        note()
        if len(found) < event.data["good"]:
            raise OSError("no")
        return {}

    @task
    async def shields(event: tukio.Event) -> None:
        note()
        try:
            await anyio.sleep(50)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(event.data.get("unwinds", 4))

    return found


def inner(chain: str = "in nap", **fields: Any) -> dict[str, Any]:
    """Return the document of a child: a chain of tasks, `in` one that ends at once."""
    ids = chain.split()
    names = {"in": "quick", "out": "quick"}
    tasks = [{"id": uid, "name": names.get(uid, uid)} for uid in ids]
    graph = {up: [down] for up, down in pairwise(ids)}
    return {"id": "inner", "tasks": tasks, "graph": graph, **fields}


def outer(workflow: Any = "inner", *, more: Any = None, **keys: Any) -> tukio.WorkflowTemplate:
    """Return a chain `first`, `sub` and `last`; `sub` is a child."""
    tasks = [
        {"id": "first", "name": "quick"},
        {"id": "sub", "workflow": workflow, **keys},
        {"id": "last", "name": "quick"},
    ]
    document = {
        "id": "outer",
        "policy": "start-new",
        "tasks": tasks,
        "graph": {"first": ["sub"], "sub": ["last"]},
        **(more or {}),
    }
    return tukio.WorkflowTemplate.from_dict(document)


async def ended(
    template: tukio.WorkflowTemplate,
    data: dict[str, Any] | None = None,
    act: Callable[[tukio.Workflow, tukio.Workflow], object] | None = None,
    after: float = 0.5,
) -> tukio.Workflow:
    """Run a workflow to its end; do something to it and to its child after a while."""
    async with tukio.Engine() as engine:
        run = await engine.start(template, data or {}, id="run")
        await anyio.sleep(after)
        if act is not None:
            act(run, the_child(engine))
    return run


def the_child(engine: tukio.Engine) -> tukio.Workflow:
    """Return the innermost child that is there."""
    return [run for run in engine.instances if run.parent is not None][-1]


def child_in(report: dict[str, Any]) -> Any:
    """Return the report of the child that a report has; None if it has none."""
    return report["tasks"][1]["exec"].get("child")


def since(begun: Begun) -> Begun:
    """Return when each task has begun, from the first on."""
    return [(at - begun[0][0], uid) for at, uid in begun]


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


# What cuts it -------------------------------------------------------------------------------------


CUTS: dict[str, Callable[[tukio.Workflow, tukio.Workflow], object]] = {
    "the run": lambda run, _: run.cancel("why"),
    "the task": lambda run, _: step_of(run, "sub").cancel(),
}


@pytest.mark.parametrize("what", CUTS)
async def test_a_cancelled_task_is_over_when_its_child_has_unwound(begun: Begun, what: str) -> None:
    """The child is cancelled, for the same reason, and nothing of it is left."""
    kept: list[Any] = []

    def act(run: tukio.Workflow, child: tukio.Workflow) -> None:
        CUTS[what](run, child)
        kept.append(child)
        assert child.status == "closing"
        assert step_of(run, "sub").ended_at is None

    run = await ended(outer(inner("shields")), act=act)
    step, child = step_of(run, "sub"), kept[0]
    assert (step.state.value, child.state.value) == ("cancelled", "cancelled")
    assert step.ended_at == child._run.ended_at
    assert step.ended_at - step.started_at == 4.5
    assert run.errors == {}
    if what == "the run":
        assert (run.state.value, child.report()["exec"]["reason"]) == ("cancelled", "why")
    else:
        assert (run.state.value, list(run.unhandled)) == ("finished", ["sub"])


async def test_errors_of_a_child_that_is_cut_are_kept(begun: Begun) -> None:
    """They are those of its task."""
    tasks = [{"id": "in", "name": "quick"}, {"id": "a", "name": "nap"}, {"id": "b", "name": "boom"}]
    document = {"id": "inner", "tasks": tasks, "graph": {"in": ["a", "b"]}}
    run = await ended(outer(document), act=lambda run, _: run.cancel())
    assert run.state.value == "cancelled"
    error: Any = run.errors["sub"]
    assert [str(one) for one in error.exceptions] == ["boom"]
    late = await ended(outer(document, timeout=0.5, on_timeout="continue"))
    assert late.state.value == "finished"
    error = late.errors["sub"]
    assert [str(one) for one in error.exceptions] == ["boom"]


@pytest.mark.parametrize("by", ["its limit", "timeout()", "the limit of the run"])
async def test_a_limit_ends_the_child(begun: Begun, by: str) -> None:
    """The child has timed out, and has unwound; then the task follows its template."""
    kept: list[Any] = []

    def act(run: tukio.Workflow, child: tukio.Workflow) -> None:
        kept.append(child)
        if by == "timeout()":
            step_of(run, "sub").timeout()

    keys = {"timeout": 0.75} if by == "its limit" else {}
    more = {"timeout": 0.75} if by == "the limit of the run" else {}
    run = await ended(outer(inner("shields"), more=more, **keys), act=act)
    step, child = step_of(run, "sub"), kept[0]
    assert child.state.value == "timeout"
    assert step.ended_at == child._run.ended_at
    if by == "the limit of the run":
        assert (run.state.value, step.state.value) == ("timeout", "cancelled")
    else:
        assert (run.state.value, step.state.value) == ("finished", "timeout")
        assert step_of(run, "last").inputs == {"first": 1}
        assert (step._extras is not None and step._extras.overran) == (4 if keys else 0)


async def test_a_limit_may_fail_the_task(begun: Begun) -> None:
    """As any task."""
    run = await ended(outer(inner(), timeout=0.75, on_timeout="fail"))
    assert isinstance(run.errors["sub"], TimeoutError)
    assert [uid for _, uid in begun] == ["first", "in", "nap"]


async def test_the_watchdog_looks_at_the_tasks_of_the_child(begun: Begun) -> None:
    """The task that waits for it is not stuck; the one in the child is."""
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(outer(inner("shields")), {"unwinds": 2 * PATIENCE})
        await anyio.sleep(1)
        run.cancel()
        await anyio.sleep(PATIENCE + 1)
        assert (run.status, the_child(engine).status) == ("closing", "stuck")
    assert [uid for kind, uid, _ in story if kind == "task-stuck"] == ["shields"]


async def test_an_engine_that_stops_with_grace_starts_children(begun: Begun) -> None:
    """They are part of a run in progress."""
    async with tukio.Engine() as engine:
        template = flow(
            "nap sub", tasks=[{"id": "nap", "name": "nap"}, {"id": "sub", "workflow": inner()}]
        )
        run = await engine.start(template, {})
        await anyio.sleep(0.5)
        engine.stop(10)
    assert (run.ok, [uid for _, uid in begun]) == (True, ["nap", "in", "nap"])


async def test_the_end_of_the_grace_ends_both(begun: Begun) -> None:
    """The task is cancelled: nobody has cancelled its child alone."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {"takes": 50})
        await anyio.sleep(0.5)
        await engine.stop(10)
    assert (run.state.value, step_of(run, "sub").state.value, run.errors) == (
        "cancelled",
        "cancelled",
        {},
    )


async def test_an_engine_that_is_left_leaves_no_child(begun: Begun) -> None:
    """By an exception: all is cancelled."""
    runs: list[tukio.Workflow] = []
    with pytest.raises(KeyError):
        async with tukio.Engine() as engine:
            runs.append(await engine.start(outer(inner("shields")), {}))
            await anyio.sleep(0.5)
            runs.append(the_child(engine))
            raise KeyError
    assert [run.state.value for run in runs] == ["cancelled"] * 2
    assert runs[0].errors == {}


async def test_a_handler_may_cancel_at_each_event(begun: Begun) -> None:
    """Of either run; both are over then, and nothing is left."""
    for number in range(12):
        async with tukio.Engine() as engine:
            count = 0

            def cut(
                event: tukio.Event, engine: tukio.Engine = engine, number: int = number
            ) -> None:
                nonlocal count
                if count == number:
                    engine.instances[0].cancel()
                count += 1

            engine.broker.register(cut, tukio.EXEC_TOPIC)
            run = await engine.start(outer(inner("in")), {})
            await run.wait()
            assert engine.instances == []
        assert run.state.value in {"cancelled", "finished"}, number


# Retry --------------------------------------------------------------------------------------------


async def test_a_retry_is_a_new_child(begun: Begun) -> None:
    """With the number of the attempt in its id."""
    ids: list[str] = []
    async with tukio.Engine() as engine:
        engine.tap(lambda kind, run, *_: kind == "workflow-begin" and ids.append(run.uid))
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


# Suspension ---------------------------------------------------------------------------------------


async def test_a_child_is_suspended_and_resumed_with_its_parent(begun: Begun) -> None:
    """What was over is not run again; the task was not interrupted."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        run.suspend()
        child = the_child(engine)
        await anyio.sleep(5)
        assert (run.status, child.status, step_of(run, "sub").state.value) == (
            "suspended",
            "suspended",
            "pending",
        )
        run.resume()
        await run.wait(check=True)
    assert since(begun) == [(0, "first"), (0, "in"), (0, "nap"), (5.5, "nap"), (6.5, "last")]


async def test_a_child_that_was_suspended_by_itself_stays_so(begun: Begun) -> None:
    """The resume of its parent resumes only what its suspension has suspended."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        child.suspend()
        run.suspend()
        run.resume()
        assert (run.status, child.status) == ("waiting", "suspended")
        child.resume()
        await run.wait(check=True)


async def test_a_child_may_end_while_its_parent_is_suspended(begun: Begun) -> None:
    """What follows waits for the resume."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        run.suspend()
        the_child(engine).resume()
        await anyio.sleep(5)
        assert (run.status, step_of(run, "sub").state.value) == ("suspended", "finished")
        assert [uid for _, uid in begun] == ["first", "in", "nap", "nap"]
        run.resume()
        await run.wait(check=True)


@pytest.mark.parametrize("what", CUTS)
@pytest.mark.parametrize("wait", [0, 1, 10])
async def test_no_child_stays_if_cancelled_while_suspended(
    begun: Begun, what: str, wait: float
) -> None:
    """Whether the child has unwound by then or not."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner("shields")), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        run.suspend()
        await anyio.sleep(wait)
        CUTS[what](run, child)
        await child.wait()
        assert child.state.value == "cancelled"
        assert step_of(run, "sub").state.value == "cancelled"
        run.resume() if what == "the task" else None
        await run.wait()
        assert engine.instances == []


async def test_the_limit_of_the_task_counts_while_suspended(begun: Begun) -> None:
    """It is one execution of the task, not two."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner(), timeout=2, on_timeout="fail"), {})
        await anyio.sleep(0.5)
        run.suspend()
        await anyio.sleep(3)
        assert step_of(run, "sub").ended_at == step_of(run, "sub").started_at + 2
        run.resume()
    assert isinstance(run.errors["sub"], TimeoutError)


# Reports ------------------------------------------------------------------------------------------


async def test_a_report_has_that_of_the_child_while_it_runs(begun: Begun) -> None:
    """And no longer: then the outputs say it all."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        assert child_in(run.report()) == child.report()
        short = run.report(data=False)
        assert child_in(short) == child.report(data=False)
        await run.wait()
    assert child_in(run.report()) is None


@pytest.mark.parametrize("how", ["running", "suspended", "cancelled"])
@pytest.mark.parametrize("through", ["as it is", "our JSON", "any JSON"])
async def test_a_rescue_goes_on_with_the_child(begun: Begun, how: str, through: str) -> None:
    """What is over in the child is not run again, whatever becomes of the first run."""
    middle = {
        "id": "middle",
        "tasks": [{"id": "before", "name": "quick"}, {"id": "m", "workflow": inner()}],
        "graph": {"before": ["m"]},
    }
    template = outer(middle)
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"k": (1, 2)}, id="run")
        await anyio.sleep(0.5)
        if how == "suspended":
            run.suspend()
            await anyio.sleep(1)
        if how == "cancelled":
            run.cancel()
            await run.wait()
        report = run.report()
        run.cancel()
        await run.wait()
        begun.clear()
        if through != "as it is":
            text = tukio.report_to_json(report)
            report = tukio.report_from_json(text) if through == "our JSON" else json.loads(text)
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        assert child_in(again.report())["exec"]["id"] == "run/sub/1"
        await anyio.sleep(0.5)
        assert [one.uid for one in engine.instances] == [
            "run",
            "run/sub/1",
            "run%2Fsub%2F1/m/1",
        ]
        assert the_child(engine).parent is engine.instances[1]
        await again.wait(check=True)
    assert since(begun) == [(0, "nap"), (1, "last")]
    expected = {"k": (1, 2), "first": 1, "before": 1, "in": 1, "nap": 1, "last": 1}
    assert again.output == {"last": expected}


async def test_a_report_of_a_child_that_cannot_go_on_is_refused(begun: Begun) -> None:
    """Before anything starts; the error is about the child."""
    template = outer()
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(template, {}, id="run")
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await run.wait()
        spoilt: list[Any] = [
            {**child_in(report), "id": "other"},
            {**child_in(report), "exec": {}},
            {**child_in(report), "tasks": []},
        ]
        for one in spoilt:
            broken = run.report() | report
            broken["tasks"] = [{**task} for task in report["tasks"]]
            broken["tasks"][1]["exec"] = {**report["tasks"][1]["exec"], "child": one}
            with pytest.raises(tukio.RescueError):
                await engine.rescue(template, broken)
            assert engine.instances == []
        broken["tasks"][1]["exec"]["child"] = 5
        with pytest.raises(tukio.RescueError, match="not the report of a child"):
            await engine.rescue(template, broken)


async def test_a_child_goes_on_without_its_template(begun: Begun) -> None:
    """The report has it; a run that was started keeps its template."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        run = await engine.start(outer(), {})
        await anyio.sleep(0.5)
        report = run.report()
        run.cancel()
        await engine.unload("inner")
        await run.wait()
        begun.clear()
        again = await engine.rescue(outer(), report)
        assert isinstance(again, tukio.Workflow)
        await again.wait(check=True)
        assert [uid for _, uid in begun] == ["nap", "last"]
        # What is neither loaded nor there is refused.
        child_in(report).pop("graph")
        child_in(report)["tasks"][0]["name"] = []
        with pytest.raises(tukio.RescueError, match="its template is not loaded"):
            await engine.rescue(outer(), report)


async def test_a_child_whose_time_is_used_up_ends_by_that(begun: Begun) -> None:
    """The rescue of its parent is not refused: the task has failed."""
    template = outer(inner("shields", timeout=0.75))
    async with tukio.Engine() as engine:
        run = await engine.start(template, {})
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await again.wait()
    assert isinstance(again.errors["sub"], tukio.WorkflowTimedOut)


async def test_a_rescued_attempt_keeps_its_number(begun: Begun) -> None:
    """A retry has its own child, and a rescue finds that one."""
    template = outer(
        inner("flaky nap", on_error="abort"), retry={"attempts": 3, "jitter": "none", "initial": 1}
    )
    async with tukio.Engine() as engine:
        run = await engine.start(template, {"good": 3}, id="run")
        await anyio.sleep(0.5)
        waiting = run.report()
        assert child_in(waiting) is None
        await anyio.sleep(1)
        report = run.report()
        run.cancel()
        await run.wait()
        assert child_in(report)["exec"]["id"] == "run/sub/2"
        begun.clear()
        again = await engine.rescue(template, report)
        assert isinstance(again, tukio.Workflow)
        await anyio.sleep(0.5)
        assert the_child(engine).uid == "run/sub/2"
        await again.wait(check=True)
    assert [uid for _, uid in begun] == ["nap", "last"]


# Loose --------------------------------------------------------------------------------------------


@pytest.mark.backends("asyncio", "uvloop")
@pytest.mark.parametrize("what", [None, *CUTS])
async def test_a_loose_run_has_children(begun: Begun, what: str | None) -> None:
    """Each is a root of its own, and ends with its parent."""
    engine = tukio.Engine()
    run = await engine.start(outer(inner()), {})
    await anyio.sleep(0.5)
    child = the_child(engine)
    if what is not None:
        CUTS[what](run, child)
    await run.wait()
    assert (child.state.value, child.parent) == ("cancelled" if what else "finished", run)
    await engine.stop()
