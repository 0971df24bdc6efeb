"""Faults of tukio 1.1.2, B39, B41-B43, B59: topics, handlers and the broker."""

from __future__ import annotations

import gc
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow, kinds, listen
from tukio.broker import workflow_exec_topics
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

FINISHED = tukio.FutureState.finished
NEWS = {"n": 1}


# Topics -------------------------------------------------------------------------------------------


@pytest.fixture
def reader(task: Tasks) -> list[Any]:
    """Register `reader`, which after 10 s notes here the `n` in its queue."""
    got: list[Any] = []

    async def reader(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        await anyio.sleep(10)
        while not queue.empty():
            got.append(queue.get_nowait().data["n"])

    task(reader)
    return got


async def test_b39_a_topic_named_twice_is_one_topic(reader: list[Any]) -> None:
    """In 1.1.2 the end of the task was a KeyError: the run failed, and no `task-end` was told."""
    template = flow("reader")
    template.tasks[0].topics = ["news", "news"]
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received(NEWS, "news")
        assert await run.wait() is FINISHED

    assert reader == [1]
    assert kinds(story) == [
        "workflow-begin",
        "task-begin reader",
        "task-end reader",
        "workflow-end",
    ]


@pytest.mark.parametrize("topics", [["news"], None], ids=["news", "everything"])
async def test_b39_a_task_may_unsubscribe_from_a_topic_of_its_template(
    task: Tasks, topics: list[str] | None
) -> None:
    """In 1.1.2 that was the same KeyError; with topics None, to subscribe was a ValueError."""
    got: list[Any] = []

    @task
    async def fickle(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        with tukio.broker.TopicManager("news"), tukio.broker.TopicManager("news"):
            await anyio.sleep(2)
        await anyio.sleep(2)
        tukio.broker.TopicManager.unsubscribe("news")
        await anyio.sleep(2)
        while not queue.empty():
            got.append(queue.get_nowait().data["n"])

    template = flow("fickle")
    template.tasks[0].topics = topics
    async with tukio.Engine() as engine:
        story = listen(engine)
        run: Any = await engine.run_once(template, {})
        for number in (1, 3, 5):
            await anyio.sleep(1)
            await engine.data_received({"n": number}, "news")
            await anyio.sleep(1)
        assert await run.wait() is FINISHED

    assert got == ([1, 3] if topics else [1, 3, 5])
    assert kinds(story)[-2:] == ["task-end fickle", "workflow-end"]


async def test_b41_everything_is_without_execution_events(reader: list[Any]) -> None:
    """In 1.1.2 they were in it: a task with topics None got its own `task-begin` first."""
    template = flow("reader")
    template.tasks[0].topics = None
    heard: list[Any] = []
    async with tukio.Engine() as engine, engine.subscribe() as events:
        story = listen(engine)
        engine.broker.register(lambda event: heard.append(event.data["n"]))
        run: Any = await engine.run_once(template, {})
        await anyio.sleep(1)
        await engine.data_received({"n": 1}, "news")
        await engine.data_received({"n": 2})
        await run.wait()
        await engine.data_received({"n": 3})
        streamed = [(await anext(events)).data["n"] for _ in range(3)]

    assert len(story) == 4
    assert reader == [1, 2]
    assert heard == streamed == [1, 2, 3]


async def test_b41_execution_events_are_for_those_who_ask(task: Tasks, ran: list[str]) -> None:
    """For all of them, also in a task that gets everything, or for those of one run."""
    got: list[Any] = []

    @task
    async def watcher(event: tukio.Event) -> None:
        tukio.broker.TopicManager.subscribe(tukio.EXEC_TOPIC)
        await anyio.sleep(5)
        while not (queue := tukio.current_task().queue).empty():
            got.append(queue.get_nowait().data)

    template = flow("watcher")
    template.tasks[0].topics = None
    async with tukio.Engine() as engine:
        await engine.run_once(template, {})
        await settle()
        one: Any = await engine.run_once(flow("quick"), {"n": 1})
        _, topic = workflow_exec_topics(one.uid)
        async with engine.subscribe(topic) as events:
            await one.wait()
            two: Any = await engine.run_once(flow("quick"), {"n": 2})
            await two.wait()
            await engine.data_received(NEWS, topic)
            own = [(await anext(events)).data for _ in range(5)]

    contents = [{"n": 1}, {"n": 1}, {"n": 1, "quick": 1}, None]
    assert [data["content"] for data in own[:4]] == contents
    assert own[4] == NEWS
    assert got[:4] == own[:4]
    assert [data["type"] for data in got[4:-1]] == [data["type"] for data in own[:4]]
    assert got[-1] == NEWS


# The broker ---------------------------------------------------------------------------------------


async def test_b42_handlers_are_called_in_the_order_they_were_registered() -> None:
    """In 1.1.2 they were a set; those of every topic come first."""
    called: list[int] = []

    def handler(number: int, event: tukio.Event) -> None:
        called.append(number)

    numbers = [7, 3, 11, 0, 5, 2, 9, 4]
    async with tukio.Engine() as engine:
        for number in numbers:
            engine.broker.register(partial(handler, number), None if number == 9 else "news")
        for _ in range(3):
            await engine.data_received(NEWS, "news")

    assert called == [9, 7, 3, 11, 0, 5, 2, 4] * 3


async def test_b42_an_async_handler_gets_one_event_after_the_other() -> None:
    """In 1.1.2 each ran in a task of its own: one that waited saw them out of order."""
    story: list[tuple[str, int]] = []
    start = anyio.current_time()

    async def slow(event: tukio.Event) -> None:
        story.append(("begin", event.data["n"]))
        await anyio.sleep(9 - event.data["n"])
        story.append(("end", event.data["n"]))

    async with tukio.Engine(cleanup_timeout=60) as engine:
        engine.broker.register(slow, "news")
        engine.broker.register(lambda event: story.append(("sync", event.data["n"])), "news")
        for number in range(3):
            await engine.data_received({"n": number}, "news")
        assert anyio.current_time() == start

    assert story[:3] == [("sync", 0), ("sync", 1), ("sync", 2)]
    assert story[3:] == [(what, number) for number in range(3) for what in ("begin", "end")]
    assert anyio.current_time() - start == 9 + 8 + 7


@pytest.mark.parametrize("how", ["object", "partial", "plain function"])
async def test_b42_whatever_returns_an_awaitable_is_awaited(how: str) -> None:
    """In 1.1.2 the coroutine of an object or a plain function was never awaited."""
    got: list[int] = []

    async def handler(event: tukio.Event) -> None:
        await anyio.sleep(1)
        got.append(event.data["n"])

    class Handler:
        async def __call__(self, event: tukio.Event) -> None:
            await handler(event)

    def call(event: tukio.Event) -> Any:
        return handler(event)

    handlers: dict[str, Callable[[tukio.Event], object]] = {
        "object": Handler(),
        "partial": partial(handler),
        "plain function": call,
    }
    async with tukio.Engine() as engine:
        engine.broker.register(handlers[how])
        await engine.data_received({"n": 1})
        await engine.data_received({"n": 2})

    assert got == [1, 2]


@pytest.mark.parametrize("wait", [False, True], ids=["sync", "async"])
async def test_b42_a_handler_that_raises_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture, wait: bool
) -> None:
    """In 1.1.2 it was for asyncio to tell of it, for async ones only when it collected garbage."""
    got: list[int] = []

    def bad(event: tukio.Event) -> None:
        got.append(-event.data["n"])
        raise LookupError("bad")

    async def bad_later(event: tukio.Event) -> None:
        await anyio.sleep(1)
        bad(event)

    async with tukio.Engine() as engine:
        engine.broker.register(bad_later if wait else bad, "news")
        engine.broker.register(lambda event: got.append(event.data["n"]), "news")
        await engine.data_received({"n": 1}, "news")
        await engine.data_received({"n": 2}, "news")

    assert got == ([1, 2, -1, -2] if wait else [-1, 1, -2, 2])
    errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [repr(error) for error in errors] == ["LookupError('bad')"] * 2


async def test_b42_a_handler_gets_nothing_after_it_was_unregistered() -> None:
    """In 1.1.2 it still got what had been dispatched before."""
    got: list[Any] = []

    async def later(event: tukio.Event) -> None:
        got.append(event)

    async with tukio.Engine() as engine:

        def first(event: tukio.Event) -> None:
            if second in handlers:
                handlers.remove(second)
                engine.broker.unregister(second, "news")

        def second(event: tukio.Event) -> None:
            got.append(event)

        handlers = [first, second]
        for handler in (first, second, later):
            engine.broker.register(handler, "news")
        engine.broker.register(second, "other")
        await engine.data_received(NEWS, "news")
        engine.broker.unregister(later, "news")
        await anyio.sleep(1)

    assert got == []


@pytest.mark.parametrize("listened_to", [True, False])
async def test_b42_what_cannot_be_dispatched_is_refused_in_the_call(listened_to: bool) -> None:
    """In 1.1.2 data that is no dict was refused only if there was a handler."""
    data: Any = ["no", "dict"]
    topic: Any = 5
    async with tukio.Engine() as engine:
        if listened_to:
            engine.broker.register(print)
        with pytest.raises(ValueError, match="data must be a dict or Event"):
            engine.broker.dispatch(data, "news")
        with pytest.raises(TypeError):
            engine.broker.dispatch({}, topic)


async def test_b43_a_broker_is_gone_with_its_engine() -> None:
    """In 1.1.2 engines on one loop shared a broker, which was kept for ever with all handlers."""
    traces: list[weakref.ref[Any]] = []
    heard: list[int] = []

    async def use(number: int) -> None:
        def handler(event: tukio.Event) -> None:
            heard.append(number)

        async with tukio.Engine() as outer:
            outer.broker.register(handler)
            async with tukio.Engine() as engine:
                assert tukio.get_broker() is engine.broker
                await engine.data_received(NEWS)
            assert tukio.get_broker() is outer.broker
            await outer.data_received(NEWS)
            traces.extend(map(weakref.ref, (handler, outer.broker, engine.broker)))

    for number in range(50):
        await use(number)
    gc.collect()

    assert heard == list(range(50))
    assert [trace() for trace in traces if trace() is not None] == []


@pytest.mark.backends("asyncio", "uvloop")
def test_b43_the_broker_of_a_loop_is_gone_with_the_loop(backend: str) -> None:
    """In 1.1.2 fifty times `asyncio.run` left fifty brokers, with their closed loops."""
    traces: list[weakref.ref[Any]] = []

    async def main(loop: Any) -> None:
        broker = tukio.get_broker()
        assert broker is tukio.Engine(loop=loop).broker

        def handler(event: tukio.Event) -> None:
            raise AssertionError

        broker.register(handler, "news")
        traces.extend(map(weakref.ref, (broker, handler, loop)))

    def program() -> None:
        loop: Any = new_loop(backend)
        loop.run_until_complete(main(loop))
        loop.close()

    for _ in range(50):
        program()
    gc.collect()

    assert len(traces) == 150
    assert [trace() for trace in traces if trace() is not None] == []


ENDS: dict[str, Callable[[Any], object]] = {
    "return": lambda run: None,
    "error": lambda run: None,
    "limit": lambda run: None,
    "cancel of the task": lambda run: next(iter(run.tasks)).cancel(),
    "cancel of the run": lambda run: run.cancel(),
}


@pytest.mark.parametrize("end", ENDS)
async def test_b59_what_a_task_subscribed_to_ends_with_it(
    task: Tasks, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """In 1.1.2 the broker kept a task for ever that did not unsubscribe, and sent it more."""
    # What pytest keeps of the log holds the traceback of the failed task.
    caplog.set_level(logging.CRITICAL, logger="tukio")
    traces: list[weakref.ref[Any]] = []

    @task
    class Subscriber(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            tukio.broker.TopicManager.subscribe("news")
            traces.append(weakref.ref(self))
            await anyio.sleep(10)
            if end == "error":
                raise LookupError

    async with tukio.Engine() as engine:
        limits = {"Subscriber": 5 if end == "limit" else 60}
        run: Any = await engine.run_once(flow("Subscriber", limits=limits), {})
        await anyio.sleep(1)
        await engine.data_received({"n": 1}, "news")
        ENDS[end](run)
        await run.wait()
        await engine.data_received({"n": 2}, "news")
        queue = next(iter(run.tasks)).queue
        assert queue.get_nowait().data == {"n": 1}
        assert queue.empty()
        del run, queue
        await settle()
        gc.collect()
        assert [trace() for trace in traces] == [None]


async def test_b59_a_suspended_task_is_not_subscribed(task: Tasks) -> None:
    """In 1.1.2 the broker kept it, and its successor; now that one alone gets what comes then."""
    got: list[Any] = []

    @task
    async def subscriber(event: tukio.Event) -> None:
        tukio.broker.TopicManager.subscribe("news")
        await anyio.sleep(10)
        while not (queue := tukio.current_task().queue).empty():
            got.append(queue.get_nowait().data["n"])

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("subscriber"), {})
        await settle()
        (interrupted,) = run.tasks
        for number, act in enumerate([run.suspend, run.resume, str]):
            await anyio.sleep(1)
            await engine.data_received({"n": number}, "news")
            act()
        assert await run.wait() is FINISHED

    assert got == [2]
    assert [interrupted.queue.get_nowait().data, interrupted.queue.empty()] == [{"n": 0}, True]
