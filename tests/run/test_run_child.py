"""Children that the code of a task starts: `tukio.run_child`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.children import Begun, inner, since, the_child
from support.flow import Tasks, flow, kinds, listen, step_of
from tukio._run.watchdog import PATIENCE
from tukio.testing import act_everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from tukio.testing import Timeline


@pytest.fixture
def calls(task: Tasks, begun: Begun) -> dict[str, Any]:
    """Register `call`, which runs a child; give what it runs, and what came of it."""
    told: dict[str, Any] = {"what": inner(), "data": {"k": 1}, "came": []}

    @task
    async def call(event: tukio.Event) -> Any:
        begun.append((anyio.current_time(), "call"))
        result = await tukio.run_child(told["what"], told["data"])
        told["came"].append(result)
        return result

    return told


async def cut(act: Callable[[tukio.Workflow], object], **fields: Any) -> list[tukio.Workflow]:
    """Run `call`, do something to its run after a while; return that and the child."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call", **fields), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        act(run)
        await run.wait()
        assert engine.instances == []
    return [run, child]


async def test_code_gets_what_came_of_a_child(calls: dict[str, Any], begun: Begun) -> None:
    """The step keeps its driver; the run and the child know each other."""
    async with tukio.Engine() as engine:
        await engine.load(inner())
        calls["what"] = "inner"
        run = await engine.start(flow("call"), {}, id="run")
        await anyio.sleep(0.5)
        child = the_child(engine)
        assert (child.uid, child.parent, run.status) == ("run/call/1/1", run, "running")
        await run.wait(check=True)
    assert since(begun) == [(0, "call"), (0, "in"), (0, "nap")]
    assert calls["came"] == [{"k": 1, "in": 1, "nap": 1}]


async def test_each_call_has_a_child_of_its_own(task: Tasks, begun: Begun) -> None:
    """Also at once: any nursery will do."""
    ids: list[str] = []

    @task
    async def many(event: tukio.Event) -> None:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(tukio.run_child, inner(), {"n": number})

    async with tukio.Engine() as engine:
        engine.tap(lambda kind, run, *_: ids.extend([run.uid] * (kind == "workflow-begin")))
        run = await engine.start(flow("many"), {}, id="run")
        await run.wait(check=True)
    assert sorted(ids) == ["run", *(f"run/many/1/{number}" for number in (1, 2, 3))]
    assert [at for at, uid in since(begun) if uid == "nap"] == [0, 0, 0]


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (inner("boom", on_error="abort"), tukio.WorkflowFailed),
        (inner(timeout=0.5), tukio.WorkflowTimedOut),
        ("other", LookupError),
        ({"tasks": 3}, tukio.TemplateError),
    ],
)
async def test_what_goes_wrong_is_raised(
    calls: dict[str, Any], what: Any, error: type[Exception]
) -> None:
    """In the task, which may handle it, or fails with it."""
    async with tukio.Engine() as engine:
        calls["what"] = what
        run = await engine.start(flow("call"), {})
        await run.wait()
        assert engine.instances == []
    assert isinstance(run.errors["call"], error)


async def test_data_must_be_a_dict(calls: dict[str, Any]) -> None:
    """As for any start."""
    async with tukio.Engine() as engine:
        calls["data"] = 3
        run = await engine.start(flow("call"), {})
    assert isinstance(run.errors["call"], ValueError)


async def test_somebody_may_cancel_the_child(calls: dict[str, Any]) -> None:
    """The task is told, and is not cancelled itself."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call"), {})
        await anyio.sleep(0.5)
        the_child(engine).cancel("why")
    error = run.errors["call"]
    assert isinstance(error, tukio.WorkflowCancelled)
    assert error.reason == "why"


async def test_errors_of_a_child_that_finished_are_the_tasks(calls: dict[str, Any]) -> None:
    """It goes on, and its run did not go well."""
    calls["what"] = inner("in boom")
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call"), {})
    assert (calls["came"], list(run.unhandled), run.status) == ([None], ["call"], "flawed")


async def test_it_is_for_tasks(calls: dict[str, Any], task: Tasks, backend: str) -> None:
    """Outside there is no parent; without an engine, nobody who starts it."""
    with pytest.raises(tukio.EngineError, match="not inside a task"):
        await tukio.run_child(inner(), {})
    if backend != "trio":
        run = tukio.Workflow(flow("call"))
        run.run({})
        await run.wait()
        assert isinstance(run.errors["call"], tukio.EngineError)


@pytest.mark.parametrize("how", ["run", "task", "limit", "limit of the run"])
async def test_whatever_cuts_the_task_cuts_the_child(calls: dict[str, Any], how: str) -> None:
    """The child has unwound before the task ends."""
    calls["what"] = inner("shields")

    def act(run: tukio.Workflow) -> None:
        if how == "run":
            run.cancel("why")
        elif how == "task":
            step_of(run, "call").cancel()

    fields: dict[str, Any] = {"limits": {"call": 0.75}} if how == "limit" else {}
    run, child = await cut(act, **fields, timeout=0.75 if how == "limit of the run" else None)
    step = step_of(run, "call")
    ending = "timeout" if how.startswith("limit") else "cancelled"
    assert child.state.value == ending
    assert step.state.value == ("cancelled" if how == "limit of the run" else ending)
    assert step.ended_at == child._run.ended_at == step.started_at + (4.75 if "l" in how else 4.5)
    assert child.report()["exec"].get("reason") == ("why" if how == "run" else None)


async def test_a_scope_of_the_tasks_own_cuts_the_child(task: Tasks, begun: Begun) -> None:
    """And the task goes on."""
    states: list[str] = []

    @task
    async def impatient(event: tukio.Event) -> None:
        with anyio.move_on_after(0.5):
            await tukio.run_child(inner(), {})
        states.extend(run.state.value for run in tukio.current_engine().instances)

    async with tukio.Engine() as engine:
        run = await engine.start(flow("impatient"), {})
    assert (run.ok, states) == (True, ["pending"])


async def test_the_watchdog_looks_at_the_child(calls: dict[str, Any]) -> None:
    """And names the task only if it goes on by itself."""
    calls["what"], calls["data"] = inner("shields"), {"unwinds": 2 * PATIENCE}
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(flow("call"), {})
        await anyio.sleep(1)
        run.cancel()
        await anyio.sleep(PATIENCE + 1)
    assert [uid for kind, uid, _ in story if kind == "task-stuck"] == ["shields"]


async def test_a_task_that_goes_on_after_its_child_is_named(task: Tasks, begun: Begun) -> None:
    """When the child has unwound."""

    @task
    async def stubborn(event: tukio.Event) -> None:
        try:
            await tukio.run_child(inner("shields"), {"unwinds": PATIENCE - 1})
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3 * PATIENCE)

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.start(flow("stubborn"), {})
        await anyio.sleep(1)
        run.cancel()
    assert [uid for kind, uid, _ in story if kind == "task-stuck"] == ["stubborn"]


# Suspension ---------------------------------------------------------------------------------------


async def test_the_same_call_goes_on_with_the_child(calls: dict[str, Any], begun: Begun) -> None:
    """The task is run again, and what was over in the child is not."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call"), {}, id="run")
        await anyio.sleep(0.5)
        child = the_child(engine)
        run.suspend()
        await anyio.sleep(1)
        assert [one.status for one in engine.instances] == ["suspended"] * 2
        run.resume()
        await anyio.sleep(0.5)
        assert engine.instances == [run, child]
        await run.wait(check=True)
    told = [(0, "call"), (0, "in"), (0, "nap"), (1.5, "nap"), (1.5, "call")]
    assert sorted(since(begun)) == sorted(told)
    assert calls["came"] == [{"k": 1, "in": 1, "nap": 1}]


async def test_what_was_over_is_not_run_again(task: Tasks, begun: Begun) -> None:
    """The call returns at once; errors it has finished with are told once."""

    @task
    async def two(event: tukio.Event) -> Any:
        first = await tukio.run_child(inner("in boom"), {"n": 1})
        second = await tukio.run_child(inner("nap"), {"n": 2})
        return {"first": first, **second}

    async with tukio.Engine() as engine:
        run = await engine.start(flow("two"), {})
        await anyio.sleep(0.5)
        run.suspend()
        run.resume()
        await run.wait()
    assert run.output == {"two": {"first": None, "n": 2, "nap": 1}}
    assert [uid for _, uid in begun] == ["in", "boom", "nap", "nap"]
    assert isinstance(run.errors["two"], tukio.WorkflowFailed)
    assert "finished with errors" in str(run.errors["two"])


@pytest.mark.parametrize("words", ["suspend resume", "suspend cancel", "cancel"])
async def test_a_call_may_be_disturbed_anywhere(
    calls: dict[str, Any], begun: Begun, words: str
) -> None:
    """No child outlives its task, and none is run twice."""

    def act(run: tukio.Workflow) -> None:
        for word in words.split():
            getattr(run, word)()

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        if words == "suspend resume":
            assert run.output == {"call": {"k": 1, "in": 1, "nap": 1}}

    assert await act_everywhere(lambda engine: engine.start(flow("call"), {}), act, check) > 9


@pytest.mark.parametrize("other", ["data", "template"])
async def test_another_call_starts_another_child(
    calls: dict[str, Any], begun: Begun, other: str
) -> None:
    """The first one is cancelled, and is over then."""
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call"), {}, id="run")
        await anyio.sleep(0.5)
        child = the_child(engine)
        run.suspend()
        await anyio.sleep(1)
        calls.update({"data": {"k": 2}} if other == "data" else {"what": inner(id="other")})
        run.resume()
        await run.wait(check=True)
    assert child.state.value == "cancelled"
    assert [uid for _, uid in begun].count("in") == 2


async def test_a_task_that_makes_no_such_call_leaves_no_child(task: Tasks, begun: Begun) -> None:
    """It is cancelled when the task is over."""
    first = True

    @task
    async def fickle(event: tukio.Event) -> None:
        nonlocal first
        if first:
            first = False
            await tukio.run_child(inner(), {"takes": 50})

    async with tukio.Engine() as engine:
        run = await engine.start(flow("fickle"), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        run.suspend()
        run.resume()
        await run.wait(check=True)
        assert engine.instances == []
    assert child.state.value == "cancelled"


@pytest.mark.parametrize("wait", [0, 1, 10])
@pytest.mark.parametrize("how", ["run", "task", "engine"])
async def test_no_child_stays_if_cancelled_while_suspended(
    calls: dict[str, Any], how: str, wait: float
) -> None:
    """Whether it has unwound by then or not."""
    calls["what"] = inner("shields")
    async with tukio.Engine() as engine:
        run = await engine.start(flow("call"), {})
        await anyio.sleep(0.5)
        child = the_child(engine)
        run.suspend()
        await anyio.sleep(wait)
        if how == "run":
            run.cancel()
        elif how == "task":
            step_of(run, "call").cancel()
        else:
            engine.stop(force=True)
        await child.wait()
        if how == "task":
            run.resume()
        await run.wait()
        assert engine.instances == []
    assert child.state.value == "cancelled"
    assert step_of(run, "call").state.value == "cancelled"


@pytest.mark.parametrize("how", ["run", "task"])
async def test_a_task_that_is_cancelled_while_suspended_is_over_after_its_child(
    calls: dict[str, Any], how: str
) -> None:
    """And its run is over last."""
    async with tukio.Engine() as engine:
        told = listen(engine)
        run = await engine.start(flow("call"), {})
        await anyio.sleep(0.5)
        run.suspend()
        await anyio.sleep(1)
        if how == "run":
            run.cancel()
        else:
            step_of(run, "call").cancel()
            run.resume()
    ends = [one for one in kinds(told) if "cancel" in one or one == "workflow-end"]
    assert ends == ["task-cancel nap", "workflow-end", "task-cancel call", "workflow-end"]
