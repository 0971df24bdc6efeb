"""The guarantees at every point of every workflow of the gallery, whatever is done there."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

import tukio
from support.flow import flow
from support.gallery import WORKFLOWS, register_tasks
from support.hurry import hurry
from tukio.testing import (
    BrokenGuarantee,
    BrokenThere,
    act_everywhere,
    cancel_everywhere,
    fail_everywhere,
    leave_everywhere,
    outcome_of,
    rescue_everywhere,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks
    from tukio.testing import Timeline


def every_workflow(test: Any) -> Any:
    """Run a test for each workflow of the gallery."""
    return pytest.mark.in_turn(pytest.mark.parametrize("name", WORKFLOWS)(test))


@pytest.fixture
def make_run(task: Tasks, name: str) -> Callable[[tukio.Engine], Any]:
    """Return what starts a run of a workflow of the gallery."""
    register_tasks(task)

    async def make_run(engine: tukio.Engine) -> Any:
        hurry()
        return await engine.run_once(WORKFLOWS[name], {"in": 0})

    return make_run


@every_workflow
async def test_g3_a_run_may_be_cancelled_anywhere(make_run: Any) -> None:
    """It ends cancelled, and nothing of it starts afterwards."""

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        assert all(step.done() or step.started_at is None for step in run.tasks)

    assert await cancel_everywhere(make_run, check) >= 6


@every_workflow
async def test_g7_a_task_may_fail_anywhere(make_run: Any) -> None:
    """The run comes to its end, and has the error."""
    assert await fail_everywhere(make_run) >= 1


@pytest.mark.parametrize("cancellations", [1, 3])
@every_workflow
async def test_g1_the_block_may_be_cancelled_anywhere(make_run: Any, cancellations: int) -> None:
    """However often: the run is over when the block is left."""
    over: list[bool] = []

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        over.append(run.state is not tukio.FutureState.pending)

    points = await leave_everywhere(make_run, check, cancellations=cancellations)
    assert over == [True] * points


@pytest.mark.parametrize("words", ["suspend resume cancel", "suspend cancel", "cancel resume"])
@every_workflow
async def test_g3_a_suspension_does_not_save_a_run_that_is_cancelled(
    make_run: Any, words: str
) -> None:
    """Not in the same moment either: it ends cancelled, unless it was about to end before."""
    endings: list[tukio.FutureState | None] = []

    def act(run: tukio.Workflow) -> None:
        endings.append(run._run.ending)
        for word in words.split():
            getattr(run, word)()

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        assert run.state is (endings[-1] or tukio.FutureState.cancelled)

    assert await act_everywhere(make_run, act, check) == len(endings)


@pytest.mark.parametrize("words", ["suspend resume", "resume suspend resume suspend resume"])
# A task that is run again has its limit, and what it does until then, once more.
@pytest.mark.in_turn
@pytest.mark.parametrize("name", [name for name in WORKFLOWS if "limit" not in name])
async def test_a_run_may_be_suspended_and_resumed_anywhere(make_run: Any, words: str) -> None:
    """It comes to the outcome of a run that was left alone."""
    async with tukio.Engine() as engine:
        undisturbed = await make_run(engine)
        await undisturbed.wait()

    def act(run: tukio.Workflow) -> None:
        for word in words.split():
            getattr(run, word)()

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        assert outcome_of(run) == outcome_of(undisturbed)

    await act_everywhere(make_run, act, check)


@pytest.mark.parametrize("name", ["chain"])
async def test_the_first_point_that_breaks_is_named(make_run: Any) -> None:
    """With its number, what it was, and all that happened until then."""

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        assert "task-end c" not in timeline.kinds(), "c must not end"

    # Every pass lets c end if nothing is done; cancelled, it has to come that far.
    with pytest.raises(BrokenThere, match="disturbed at point 1, the event 'workflow-begin'"):
        await act_everywhere(make_run, lambda run: None, check)
    with pytest.raises(BrokenThere, match=r"the event 'task-end' of 'c'") as caught:
        await cancel_everywhere(make_run, check)
    assert caught.value.number > 1
    assert caught.value.timeline.kinds()[-2:] == ["task-end c", "workflow-end"]
    assert isinstance(caught.value.__cause__, AssertionError)


async def test_g11_a_rescue_to_another_outcome_is_named(task: Tasks) -> None:
    """Here of a task that does not do the same each time."""
    outputs = itertools.count()

    @task
    async def fickle(event: tukio.Event) -> dict[str, int]:
        return {"n": next(outputs)}

    async def start(engine: tukio.Engine) -> Any:
        return await engine.run_once(flow("fickle"), {})

    with pytest.raises(BrokenThere, match=r"thrown away at point 1, .*'workflow-begin'") as caught:
        await rescue_everywhere(start)
    assert isinstance(caught.value.__cause__, BrokenGuarantee)
    assert caught.value.__cause__.guarantee == "G11"


async def test_g3_a_step_may_be_cancelled_while_it_works_in_a_thread(task: Tasks) -> None:
    """Virtual time waits for the thread, the run for the step, and nothing is left of either."""
    works: list[threading.Thread] = []
    passes: list[tuple[float, int]] = []

    def work() -> int:
        works.append(threading.current_thread())
        return sum(range(20_000))

    @task
    async def computes(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        total = await anyio.to_thread.run_sync(work)
        await anyio.sleep(1)
        return {"total": total}

    async def start(engine: tukio.Engine) -> Any:
        # If time went on while the thread is at work, the limit would end the step.
        return await engine.run_once(flow("computes", limits={"computes": 3}), {})

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        assert {moment.time for moment in timeline} <= {0, 1, 2}
        assert run.outputs in ({}, {"computes": {"total": 199_990_000}})
        assert threading.current_thread() not in works
        passes.append((timeline.moments[-1].time, len(works)))
        works.clear()

    assert await cancel_everywhere(start, check) == len(passes) >= 9
    # Before the thread; while it is at work, which is waited for; and after it.
    assert {(0, 0), (1, 1), (2, 1)} <= {*passes}


async def test_g5_a_step_may_be_slow_to_unwind_wherever_it_is_cancelled(task: Tasks) -> None:
    """It is shielded meanwhile, and bounded: the run waits that long for it, and no longer."""

    @task
    async def quick(event: tukio.Event) -> None:
        await anyio.sleep(1)

    @task
    async def slow(event: tukio.Event) -> None:
        try:
            await anyio.sleep(2)
        finally:
            with anyio.move_on_after(3, shield=True):
                await anyio.sleep_forever()

    graph = {"first": ["slow", "other"], "slow": ["last"]}
    names = dict.fromkeys(("first", "other", "last"), "quick")
    ends: set[float] = set()

    async def start(engine: tukio.Engine) -> Any:
        return await engine.run_once(flow(graph, names=names), {})

    def check(run: tukio.Workflow, timeline: Timeline) -> None:
        ends.add(timeline.moments[-1].time)

    assert await cancel_everywhere(start, check) >= 15
    # With `first`; at the begin of `slow`, with `other`, or by itself, 3 s after; with `last`.
    assert ends == {0, 1, 4, 5, 6, 7}
