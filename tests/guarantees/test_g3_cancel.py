"""G3: cancel means cancelled, in any state, and nothing of the run starts afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.testing import Timeline, check_guarantees
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

CANCELLED = tukio.FutureState.cancelled


async def test_g3_cancel_before_the_first_step(task: Tasks) -> None:
    """A run that has not begun never begins, and still ends once."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        begun.append("a")

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a"), {})
        assert run.cancel()
        assert await run.wait() is CANCELLED

    assert begun == []
    assert story == [("workflow-end", None, {"cancel": True})]
    assert not run.cancel()


async def test_g3_cancel_while_a_step_is_suspended(task: Tasks) -> None:
    """The step gets its cancellation at once, and its successors never start."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def b(event: tukio.Event) -> None:
        begun.append("b")

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a b"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert anyio.current_time() - start == 1
    assert begun == []
    assert kinds(story) == ["workflow-begin", "task-begin a", "task-cancel a", "workflow-end"]


@pytest.mark.parametrize("turns", range(8))
async def test_g3_cancel_between_steps(task: Tasks, turns: int) -> None:
    """Whichever turn of the loop it comes in, no step starts after it."""
    begun: list[str] = []
    asked = False

    async def body(event: tukio.Event) -> None:
        assert not asked
        begun.append(tukio.current_task().template.uid)
        await anyio.lowlevel.checkpoint()

    task(body)

    async with tukio.Engine() as engine:
        story = listen(engine)
        names = dict.fromkeys("abcdef", "body")
        run = await engine.run_once(
            flow({"a": ["b", "c"], "b": ["d"], "c": ["e", "f"]}, names=names), {}
        )
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        asked = run.cancel()
        ending = await run.wait()

    assert ending is (CANCELLED if asked else tukio.FutureState.finished)
    assert kinds(story)[-1] == "workflow-end"
    assert [kind for kind in kinds(story) if kind == "workflow-end"] == ["workflow-end"]


async def test_g3_cancel_from_inside_a_step_takes_effect_at_its_next_await(task: Tasks) -> None:
    """A step that cancels its own run is cancelled like the others."""
    reached: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        tukio.current_workflow().cancel()
        reached.append("after cancel")
        await anyio.lowlevel.checkpoint()
        reached.append("too far")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        assert await run.wait() is CANCELLED

    assert reached == ["after cancel"]
    assert [step.state for step in run.tasks] == [CANCELLED]


async def test_g3_cancel_from_inside_a_step_that_returns_starts_nothing_more(task: Tasks) -> None:
    """A step that needs no further await has finished; its successors do not start."""
    begun: list[str] = []

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        tukio.current_workflow().cancel()
        return {"a": 1}

    @task
    async def b(event: tukio.Event) -> None:
        begun.append("b")

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b"), {})
        assert await run.wait() is CANCELLED

    assert begun == []
    assert run.outputs == {"a": {"a": 1}}


async def test_g3_cancellation_is_level_triggered(task: Tasks) -> None:
    """A step that swallows it once is cancelled again at its next await."""
    swallowed = 0

    @task
    async def stubborn(event: tukio.Event) -> None:
        nonlocal swallowed
        for _ in range(3):
            try:
                await anyio.sleep(30)
            except anyio.get_cancelled_exc_class():
                swallowed += 1
        await anyio.sleep(30)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("stubborn"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is CANCELLED

    assert swallowed == 3
    assert anyio.current_time() - start == 1


async def test_g3_a_shielded_clean_up_is_waited_for(task: Tasks) -> None:
    """The run is over when the last step has unwound, and not before."""

    @task
    async def careful(event: tukio.Event) -> None:
        try:
            await anyio.sleep(30)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("careful"), {})
        await anyio.sleep(1)
        run.cancel()
        assert run.state is tukio.FutureState.pending
        assert await run.wait() is CANCELLED

    assert anyio.current_time() - start == 3


async def test_g3_every_branch_is_cancelled(task: Tasks) -> None:
    """Each suspended step has a scope of its own; all are reached."""
    unwound: list[str] = []

    async def wait(event: tukio.Event) -> None:
        try:
            await anyio.sleep(30)
        finally:
            unwound.append(tukio.current_task().template.uid)

    @task
    async def root(event: tukio.Event) -> None:
        pass

    task(wait)
    leaves = [f"leaf{number}" for number in range(20)]
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow({"root": leaves}, names=dict.fromkeys(leaves, "wait")), {})
        await anyio.sleep(1)
        run.cancel()
        await run.wait()

    assert sorted(unwound) == sorted(leaves)
    assert all(step.cancelled() for step in run.tasks if step.template.uid != "root")


async def test_g3_one_task_can_be_cancelled_alone(task: Tasks) -> None:
    """Its branch stops; the other goes on and the run finishes."""
    done: list[str] = []

    @task
    async def root(event: tukio.Event) -> None:
        pass

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    @task
    async def b(event: tukio.Event) -> None:
        await anyio.sleep(5)
        done.append("b")

    @task
    async def c(event: tukio.Event) -> None:
        done.append("c")

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow({"root": ["a", "b"], "a": ["c"]}), {})
        await anyio.sleep(1)
        (step,) = (step for step in run.tasks if step.template.uid == "a")
        assert step.cancel()
        assert await run.wait() is tukio.FutureState.finished

    assert done == ["b"]
    assert step.state is CANCELLED
    assert "task-cancel a" in kinds(story)
    assert not step.cancel()


async def test_g3_a_task_can_be_cancelled_before_it_begins(task: Tasks) -> None:
    """It never does; it is told of like any other, and a join does not wait for it."""
    answers: list[bool] = []

    @task
    async def quick(event: tukio.Event) -> dict[str, Any]:
        return {**event.data, tukio.current_task().template.uid: 1}

    @task
    async def cancels_b(event: tukio.Event) -> None:
        (due,) = (step for step in run.tasks if step.template.uid == "b")
        answers.extend([due.in_progress(), due.cancel(), due.cancel()])

    graph = {"a": ["c", "b"], "c": ["j"], "b": ["j", "d"], "j": ["k"]}
    names = dict.fromkeys("abdk", "quick") | {"c": "cancels_b", "j": "join"}
    template = flow(graph, names=names)
    {one.uid: one for one in template.tasks}["j"].config = {"wait_for": 2}
    async with tukio.Engine() as engine:
        story, timeline = listen(engine), Timeline.of(engine)
        run: Any = await engine.run_once(template, {})
        assert await run.wait() is tukio.FutureState.finished

    assert answers == [False, True, True]
    assert run.outputs == {"a": {"a": 1}, "c": None, "j": {"a": 1}, "k": {"a": 1, "k": 1}}
    (step,) = (step for step in run.tasks if step.template.uid == "b")
    assert (step.state, step.done(), step.holder, step.cancel()) == (CANCELLED, True, None, False)
    assert [kind for kind in kinds(story) if kind[-2:] == " b"] == ["task-begin b", "task-cancel b"]
    check_guarantees(run, timeline)


async def test_g3_the_first_task_can_be_cancelled_before_it_begins(task: Tasks) -> None:
    """The run has nothing to do then; also if it is suspended and resumed first."""

    @task
    async def never(event: tukio.Event) -> None:
        raise AssertionError

    for suspended in (False, True):
        async with tukio.Engine() as engine:
            timeline = Timeline.of(engine)
            run: Any = await engine.run_once(flow("never"), {})
            (root,) = run.tasks
            assert root.cancel()
            if suspended:
                run.suspend()
                await settle()
                run.resume()
            assert await run.wait() is tukio.FutureState.finished
        check_guarantees(run, timeline)
        assert (root.state, run.errors) == (CANCELLED, {})


async def test_g3_a_step_that_cancels_itself_and_returns_does_not_harm_the_next(
    task: Tasks,
) -> None:
    """The scope it leaves behind is not the next step's."""

    @task
    async def a(event: tukio.Event) -> None:
        tukio.current_task().cancel()

    @task
    async def b(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {"b": 1}

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b"), {})
        assert await run.wait() is tukio.FutureState.finished

    assert run.outputs["b"] == {"b": 1}


async def test_g3_stop_by_force_cancels_every_run(task: Tasks) -> None:
    """So does the engine's `stop(force=True)`, also for runs that have not begun."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(30)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        begun = await engine.run_once(flow("a"), {})
        await anyio.sleep(1)
        fresh = await engine.run_once(flow("a"), {})
        await engine.stop(force=True)
        assert begun.state is fresh.state is CANCELLED

    assert anyio.current_time() - start == 1


async def test_g3_stop_with_grace_lets_finish_what_can(task: Tasks) -> None:
    """Runs that are over within the grace finish; the others are cancelled at its end."""

    @task
    async def short(event: tukio.Event) -> None:
        await anyio.sleep(2)

    @task
    async def long(event: tukio.Event) -> None:
        await anyio.sleep(30)

    start = anyio.current_time()
    async with tukio.Engine() as engine:
        first = await engine.run_once(flow("short"), {})
        second = await engine.run_once(flow("long"), {})
        await anyio.sleep(1)
        await engine.stop(grace=5)
        assert anyio.current_time() - start == 6
        assert first.state is tukio.FutureState.finished
        assert second.state is CANCELLED


async def test_g3_grace_counts_between_steps_too(task: Tasks) -> None:
    """A step that starts during the grace is cut at its end."""

    async def five(event: tukio.Event) -> None:
        await anyio.sleep(5)

    task(five)
    start = anyio.current_time()
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a b c", names=dict.fromkeys("abc", "five")), {})
        await anyio.sleep(1)
        await engine.stop(grace=6)

    assert anyio.current_time() - start == 7
    assert [step.state.value for step in run.tasks] == ["finished", "cancelled"]


async def test_g3_a_task_that_waits_for_a_run_can_be_cancelled_without_it(task: Tasks) -> None:
    """`wait()` is only waiting."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(5)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        with anyio.move_on_after(1):
            await run.wait()
        assert run.state is tukio.FutureState.pending
        assert await run.wait() is tukio.FutureState.finished


async def test_g3_many_quick_steps_do_not_hold_a_cancellation_up(task: Tasks) -> None:
    """Steps that never suspend give others a turn now and then."""
    count = 0

    @task
    async def quick(event: tukio.Event) -> None:
        nonlocal count
        count += 1

    names = [f"s{number}" for number in range(1000)]
    async with tukio.Engine() as engine:
        run = await engine.run_once(flow(" ".join(names), names=dict.fromkeys(names, "quick")), {})
        while not count:  # noqa: ASYNC110
            await anyio.lowlevel.checkpoint()
        run.cancel()
        assert await run.wait() is CANCELLED

    assert 0 < count < 1000
