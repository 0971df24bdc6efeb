"""G8: successors start in declared order; each subscriber gets events in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow, kinds, listen

if TYPE_CHECKING:
    from support.flow import Tasks


@pytest.mark.parametrize("suspends", [False, True])
async def test_g8_successors_start_in_declared_order(task: Tasks, suspends: bool) -> None:
    """Also when each of them suspends at once."""
    started: list[str] = []

    async def note(event: tukio.Event) -> None:
        started.append(tukio.current_task().template.uid)
        if suspends:
            await anyio.lowlevel.checkpoint()

    task(note)
    leaves = [f"leaf{number}" for number in (5, 3, 9, 1, 7, 0, 2, 8, 6, 4)]
    async with tukio.Engine() as engine:
        names = dict.fromkeys(["root", *leaves], "note")
        await engine.run_once(flow({"root": leaves}, names=names), {})

    assert started == ["root", *leaves]


async def test_g8_steps_start_breadth_first(task: Tasks) -> None:
    """The order of the original README."""
    started: list[str] = []

    async def note(event: tukio.Event) -> None:
        started.append(tukio.current_task().template.uid)

    task(note)
    graph = {"f1": ["f2"], "f2": ["f3", "f4"], "f3": ["f5"], "f4": ["f6"]}
    async with tukio.Engine() as engine:
        names = dict.fromkeys(["f1", "f2", "f3", "f4", "f5", "f6"], "note")
        await engine.run_once(flow(graph, names=names), {})

    assert started == ["f1", "f2", "f3", "f4", "f5", "f6"]


async def test_g8_the_events_of_a_run(task: Tasks) -> None:
    """Begin first, end last, each task's end after its begin."""

    @task
    async def a(event: tukio.Event) -> dict[str, int]:
        await anyio.sleep(1)
        return {**event.data, "A": 1}

    @task
    async def b(event: tukio.Event) -> dict[str, int]:
        return {**event.data, "B": 1}

    async with tukio.Engine() as engine:
        story = listen(engine)
        await engine.run_once(flow("a b"), {"in": 0})

    assert story == [
        ("workflow-begin", None, {"in": 0}),
        ("task-begin", "a", {"in": 0}),
        ("task-end", "a", {"in": 0, "A": 1}),
        ("task-begin", "b", {"in": 0, "A": 1}),
        ("task-end", "b", {"in": 0, "A": 1, "B": 1}),
        ("workflow-end", None, None),
    ]


async def test_g8_a_slow_async_subscriber_gets_events_in_order(task: Tasks) -> None:
    """One after the other, however long it takes with each; a sync one is not kept waiting."""
    slow: list[int] = []
    quick: list[int] = []

    async def slowly(event: tukio.Event) -> None:
        await anyio.sleep(3 - event.data["n"])
        slow.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(slowly, "topic")
        engine.broker.register(lambda event: quick.append(event.data["n"]), "topic")
        for n in range(3):
            await engine.data_received({"n": n}, "topic")
        assert quick == [0, 1, 2]
        await anyio.sleep(10)

    assert slow == [0, 1, 2]


async def test_g8_a_handler_that_dispatches_does_not_disturb_the_order(task: Tasks) -> None:
    """All subscribers see the cause before the effect."""
    seen: list[int] = []

    async with tukio.Engine() as engine:

        def echo(event: tukio.Event) -> None:
            if event.data["n"] < 3:
                engine.broker.dispatch({"n": event.data["n"] + 1}, "topic")

        engine.broker.register(echo, "topic")
        engine.broker.register(lambda event: seen.append(event.data["n"]), "topic")
        await engine.data_received({"n": 0}, "topic")

    assert seen == [0, 1, 2, 3]


async def test_g8_subscribers_know_the_end_before_those_who_wait(task: Tasks) -> None:
    """Whoever wakes up from `wait()` finds the terminal event handed out."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        story = listen(engine)
        run = await engine.run_once(flow("a"), {})
        await run.wait()
        assert kinds(story)[-1] == "workflow-end"


async def test_g8_events_of_one_run_can_be_listened_to(task: Tasks) -> None:
    """Each run has a topic of its own; the source tells run and task."""
    sources: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with tukio.Engine() as engine:
        run = await engine.run_once(flow("a"), {})
        other = await engine.run_once(flow("a"), {})
        engine.broker.register(
            lambda event: sources.append(event.source), f"{tukio.EXEC_TOPIC}/{run.uid}"
        )
        await run.wait()
        await other.wait()

    step = next(iter(run.tasks))
    assert [source.as_dict() for source in sources] == [
        {
            "workflow_template_id": "flow",
            "workflow_exec_id": run.uid,
            "task_template_id": uid,
            "task_exec_id": exec_id,
        }
        for uid, exec_id in [(None, None), ("a", step.uid), ("a", step.uid), (None, None)]
    ][4 - len(sources) :]
    assert {source.workflow_exec_id for source in sources} == {run.uid}
