"""The topics of a task, which feed its queue for as long as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.mailboxes import drain, with_topics
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks


def collecting(task: Tasks) -> dict[str, list[Any]]:
    """Register a task that takes a second; return what is in its queue then, by task id."""
    got: dict[str, list[Any]] = {}

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        me = tukio.current_task()
        got[me.template.uid] = drain(me)

    return got


async def send_all(engine: tukio.Engine) -> None:
    """Send data in topics a and b, in both, in none, and in one that nobody has."""
    for n, topic in enumerate(["a", "b", ["a", "b"], None, "z"]):
        engine.broker.dispatch({"n": n}, topic)
    await engine.data_received({"n": 5}, "a")


# The topics of a template -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        ([], []),
        (["a"], [0, 2, 5]),
        (["b", "a"], [0, 1, 2, 5]),
        (["a", "a"], [0, 2, 5]),
        (["y"], []),
    ],
)
async def test_the_topics_of_a_task_say_what_comes_into_its_queue(
    task: Tasks, topics: list[str] | None, expected: list[int]
) -> None:
    """None is everything and an empty list nothing; in 1.1.2 a double one was fatal (B39)."""
    got = collecting(task)
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(topics), {})
        await send_all(engine)
        await anyio.sleep(0.5)
        await send_all(engine)

    assert run.errors == {}
    assert got == {"a": expected}


async def test_topics_come_from_the_document_of_a_template(task: Tasks) -> None:
    """A task that says nothing about topics gets nothing."""
    got = collecting(task)
    tasks = [
        {"id": "root", "name": "a", "topics": None},
        {"id": "left", "name": "a", "topics": ["a"]},
        {"id": "right", "name": "a"},
    ]
    template = flow({"root": ["left", "right"]}, tasks=tasks)
    async with tukio.Engine() as engine:
        await engine.run_once(template, {})
        await anyio.sleep(0.5)
        engine.broker.dispatch({"n": 0}, "a")
        await anyio.sleep(1)
        engine.broker.dispatch({"n": 1}, "a")

    assert got == {"root": [0], "left": [1], "right": []}


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (None, ["n"]),
        (["a"], ["n"]),
        ([tukio.EXEC_TOPIC], ["task-progress", "mine"]),
        ([tukio.EXEC_TOPIC, "a"], ["task-progress", "n", "mine"]),
    ],
)
async def test_a_task_gets_execution_events_only_if_it_asks(
    task: Tasks, topics: list[str] | None, expected: list[str]
) -> None:
    """In 1.1.2 "everything" included them, its own beginning first (B41)."""
    got: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        me = tukio.current_task()
        me.dispatch_progress({"half": "way"})
        tukio.get_broker().dispatch({"n": "n"}, "a")
        me.dispatch_progress(None, "mine")
        got.extend(drain(me))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(topics), {})

    assert run.errors == {}
    assert got == expected


async def test_a_run_does_not_get_the_data_that_started_it(task: Tasks) -> None:
    """But that of the next run, if its task listens."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        got.append((event.data["n"], drain(tukio.current_task())))

    async with tukio.Engine() as engine:
        template = with_topics(["a"])
        template.topics = ["a"]
        await engine.load(template)
        await engine.data_received({"n": 1}, "a")
        await anyio.sleep(0.5)
        await engine.data_received({"n": 2}, "a")

    assert got == [(1, [2]), (2, [])]


async def test_a_holder_has_the_queue_of_its_step(task: Tasks) -> None:
    """Before its method is called; each execution a new one."""
    queues: list[Any] = []

    @task
    class A(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> dict[str, Any]:
            queues.append(self.queue)
            assert self.queue is tukio.current_task().queue
            queue: Any = self.queue
            heard: tukio.Event = await queue.get()
            assert heard.topic == ("t",)
            return heard.data

    async with tukio.Engine() as engine:
        runs: list[Any] = [
            await engine.run_once(with_topics(["t"], names={"a": "A"}), {}) for _ in range(2)
        ]
        await settle()
        engine.broker.dispatch({"n": 1}, "t")

    assert [run.outputs for run in runs] == [{"a": {"n": 1}}] * 2
    assert queues[0] is not queues[1]


# The end of a step --------------------------------------------------------------------------------

ENDINGS = [
    *["returns", "raises", "skips", "times out", "task cancelled"],
    *["run cancelled", "run times out", "suspended"],
]


def ending(task: Tasks, how: str, subscribe: Callable[[], object]) -> tukio.WorkflowTemplate:
    """Register a task that subscribes, takes a second and ends in a certain way."""

    @task
    async def a(event: tukio.Event) -> None:
        subscribe()
        await anyio.sleep(1 if how in {"returns", "raises", "skips"} else 100)
        if how == "raises":
            raise LookupError
        if how == "skips":
            raise tukio.SkipTask

    limits = {"a": 1.0} if how == "times out" else None
    return flow("a", limits=limits, timeout=1 if how == "run times out" else None)


async def end(run: Any, how: str) -> None:
    """Let a run's first step come to its end, a second after its beginning."""
    await anyio.sleep(1)
    if how == "task cancelled":
        next(iter(run.tasks)).cancel()
    if how == "run cancelled":
        run.cancel()
    if how == "suspended":
        run.suspend()
    await settle()


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("by", ["template", "with", "subscribe"])
async def test_a_step_that_is_over_gets_nothing_any_more(task: Tasks, how: str, by: str) -> None:
    """In whatever way it ends, and however it subscribed (B59)."""

    def subscribe() -> None:
        if by == "with":
            manager = tukio.broker.TopicManager("t")
            manager.__enter__()
        if by == "subscribe":
            tukio.broker.TopicManager.subscribe("t")
            tukio.broker.TopicManager.subscribe("t")

    template = ending(task, how, subscribe)
    template.tasks[0].topics = ["t", "other"] if by == "template" else []
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await settle()
        (step,) = run.tasks
        engine.broker.dispatch({"n": 1}, "t")
        assert step.queue.qsize() == 1
        await end(run, how)
        assert step.state is not tukio.FutureState.pending
        engine.broker.dispatch({"n": 2}, "t")
        assert drain(step) == [1]
        run.cancel()


async def test_a_resumed_step_starts_with_an_empty_queue(task: Tasks) -> None:
    """It is run again from scratch, and so is what it listens to."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(2)
        got.append(drain(tukio.current_task()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(["t"]), {})
        for n, change in enumerate([run.suspend, run.resume]):
            await anyio.sleep(1)
            engine.broker.dispatch({"n": n}, "t")
            change()
        await anyio.sleep(1)
        engine.broker.dispatch({"n": 2}, "t")

    assert got == [[2]]


async def test_a_step_that_cannot_begin_listens_to_nothing(task: Tasks) -> None:
    """Nor does what its holder subscribed to before it failed stay."""

    @task
    class A:
        def __init__(self, config: Any) -> None:
            tukio.broker.TopicManager.subscribe("t")
            raise LookupError

        async def execute(self, event: tukio.Event) -> None:
            pass

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(["a", "t"], names={"a": "A"}), {})
        await run.wait()
        engine.broker.dispatch({"n": 1}, ["a", "t"])
        assert [drain(step) for step in run.tasks] == [[]]

    assert list(run.errors) == ["a"]
