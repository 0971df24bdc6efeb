"""A task that is a run of its own: what cuts it, and its suspension."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import tukio
from support.children import CUTS, Begun, ended, inner, outer, since, the_child
from support.flow import flow, listen, step_of
from tukio._run.watchdog import PATIENCE

# What cuts it -------------------------------------------------------------------------------------


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


async def test_a_deadline_is_that_of_children_too(begun: Begun) -> None:
    """Their tasks can tell."""
    async with tukio.Engine() as engine:
        backend = engine._binding.bound()
        until = backend.wall_time(backend.time() + 3)
        run = await engine.start(outer(inner()), {"takes": 50}, deadline=until)
        await anyio.sleep(0.5)
        child = the_child(engine)
        assert step_of(child, "nap").deadline == until
        await run.wait()
    assert (run.state.value, child.state.value) == ("timeout", "timeout")
    assert step_of(run, "sub").state.value == "cancelled"


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


async def test_whatever_ends_around_the_engine_is_not_the_end_of_a_child(begun: Begun) -> None:
    """The child may learn of it first: its task is cancelled all the same, and has not failed."""
    runs: list[tukio.Workflow] = []
    with anyio.move_on_after(0.5):
        async with tukio.Engine() as engine:
            runs.append(await engine.start(outer(inner(), more={"on_error": "abort"}), {}))
            await anyio.sleep(0.25)
            runs.append(the_child(engine))
            await anyio.sleep(5)
    assert [run.state.value for run in runs] == ["cancelled"] * 2
    assert (step_of(runs[0], "sub").state.value, runs[0].errors) == ("cancelled", {})


async def test_a_child_that_is_cancelled_by_the_end_takes_its_parent_along(begun: Begun) -> None:
    """As if the loop of the child ended: nothing of either starts any more."""
    async with tukio.Engine() as engine:
        run = await engine.start(outer(inner()), {})
        await anyio.sleep(0.5)
        the_child(engine)._run.cancel_from_outside()
        assert run.status == "closing"
    assert (run.state.value, run.errors) == ("cancelled", {})
    assert step_of(run, "sub").state.value == "cancelled"


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
