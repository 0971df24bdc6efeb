"""What lands in the queue of a running task is what did in tukio 1.1.2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from tukio.broker import TopicManager
from tukio.engine import Engine

if TYPE_CHECKING:
    from support.flow import Tasks


async def send(engine: Engine) -> None:
    """Send an event in each second: in a, in b, without topic, in a."""
    for number, topic in enumerate(("a", "b", None, "a")):
        await anyio.sleep(1)
        await engine.data_received({"n": number}, topic)


def got() -> list[int]:
    """Return what has landed in the queue of the calling task."""
    queue = tukio.current_task().queue
    return [queue.get_nowait().data["n"] for _ in range(queue.qsize())]


@pytest.mark.parametrize(
    ("topics", "expected"),
    [(None, [0, 1, 2, 3]), ([], []), (["a"], [0, 3]), (["b", "a"], [0, 1, 3]), (["zz"], [])],
    ids=repr,
)
async def test_a_task_gets_the_events_of_its_topics(
    task: Tasks, topics: list[str] | None, expected: list[int]
) -> None:
    """While it runs; `holder.queue` is that queue."""
    landed: list[int] = []

    @task
    class Reads(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            assert self.queue is tukio.current_task().queue
            await anyio.sleep(10)
            landed.extend(got())

    template = flow("Reads", topics=[])
    template.tasks[0].topics = topics
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await send(engine)
        await run.wait()

    assert run.errors == {}
    assert landed == expected


async def test_a_task_gets_nothing_before_and_after_it_runs(task: Tasks) -> None:
    """Neither task of a -> b -> c, but b."""
    landed: dict[str, list[int]] = {}

    async def reads(event: tukio.Event) -> None:
        await anyio.sleep(1.5)
        landed[tukio.current_task().template.uid] = got()

    task(reads)
    template = flow("a b c", names=dict.fromkeys("abc", "reads"), topics=[])
    template.tasks[1].topics = ["a", "b"]
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await send(engine)
        await run.wait()

    assert landed == {"a": [], "b": [1], "c": []}


async def test_a_task_opens_and_closes_topics_itself(task: Tasks) -> None:
    """For a block; entering it gives nothing."""
    landed: list[int] = []
    entered: list[Any] = []

    @task
    async def reads(event: tukio.Event) -> None:
        with TopicManager("a") as nothing:
            entered.append(nothing)
            await anyio.sleep(1.5)
        await anyio.sleep(3)
        landed.extend(got())

    async with Engine() as engine:
        run: Any = await engine.run_once(flow("reads", topics=[]), {})
        await send(engine)
        await run.wait()

    assert run.errors == {}
    assert (landed, entered) == ([0], [None])


async def test_a_task_subscribes_and_unsubscribes_by_hand(task: Tasks) -> None:
    """Beside the topics of its template."""
    landed: list[int] = []

    @task
    async def reads(event: tukio.Event) -> None:
        TopicManager.subscribe("b")
        await anyio.sleep(1.5)
        TopicManager.unsubscribe("b")
        TopicManager.subscribe("a")
        await anyio.sleep(2)
        TopicManager.unsubscribe("a")
        await anyio.sleep(2)
        landed.extend(got())

    template = flow("reads", topics=[])
    template.tasks[0].topics = ["mine"]
    async with Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await send(engine)
        await engine.data_received({"n": 9}, "mine")
        await run.wait()

    assert run.errors == {}
    assert landed == [9]


@pytest.mark.backends("asyncio", "uvloop")
async def test_a_topic_manager_is_made_with_a_loop(task: Tasks) -> None:
    """Which it does not need."""
    landed: list[int] = []

    @task
    async def reads(event: tukio.Event) -> None:
        with TopicManager("b", loop=asyncio.get_running_loop()):
            await anyio.sleep(10)
        landed.extend(got())

    engine = Engine()
    run: Any = await engine.run_once(flow("reads", topics=[]), {})
    await send(engine)
    await run
    assert landed == [1]


def test_a_topic_manager_does_nothing_outside_a_task() -> None:
    """That is an error."""
    with pytest.raises(Exception, match="task"):
        TopicManager.subscribe("a")


@pytest.mark.parametrize("turn", [False, True], ids=["in its time", "in its turn"])
async def test_the_data_of_a_late_parent_lands_in_the_queue(task: Tasks, turn: bool) -> None:
    """Of the task that the first parent has started, and which runs once."""
    started: list[Any] = []
    landed: list[Any] = []

    @task
    async def parent(event: tukio.Event) -> dict[str, Any]:
        uid = tukio.current_task().template.uid
        if uid == "c" and not turn:
            await anyio.sleep(1)
        return {uid: 1}

    @task
    async def child(event: tukio.Event) -> None:
        started.append(event.data)
        got = await tukio.current_task().queue.get()
        assert got.source is not None
        landed.append((got.data, got.topic, got.source.as_dict()["task_template_id"]))

    graph = {"a": ["b", "c"], "b": ["d"], "c": ["d"]}
    names = dict.fromkeys("abc", "parent") | {"d": "child"}
    async with Engine() as engine:
        run: Any = await engine.run_once(flow(graph, names=names, topics=[]), {})
        await run.wait()

    assert run.errors == {}
    assert (started, landed) == ([{"b": 1}], [({"c": 1}, None, "c")])
