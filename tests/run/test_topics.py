"""`TopicManager`, by which a task listens to more; and `get_broker`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from support.mailboxes import drain, with_topics
from tukio.task import new_task
from tukio.testing.clock import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.flow import Tasks

LOOPS = pytest.mark.backends("asyncio", "uvloop")

OUTSIDE = pytest.mark.parametrize(
    "call",
    [
        lambda: tukio.broker.TopicManager("a").__enter__(),
        lambda: tukio.broker.TopicManager.subscribe("a"),
        lambda: tukio.broker.TopicManager.unsubscribe("a"),
    ],
    ids=["with", "subscribe", "unsubscribe"],
)


# TopicManager -------------------------------------------------------------------------------------


async def test_a_task_may_listen_for_the_length_of_a_block(task: Tasks) -> None:
    """Entering it returns nothing; an error that leaves the block ends it, too."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        me = tukio.current_task()
        send(0)
        with tukio.broker.TopicManager("t") as nothing:
            assert nothing is None
            send(1)
        send(2)
        with pytest.raises(LookupError), tukio.broker.TopicManager("t", loop=None):
            send(3)
            raise LookupError
        send(4)
        got.extend(drain(me))

    def send(n: int) -> None:
        tukio.get_broker().dispatch({"n": n}, "t")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})

    assert run.errors == {}
    assert got == [1, 3]


@pytest.mark.parametrize(
    ("topics", "expected"), [([], [1, 2, 3, 5]), (["t"], range(8)), (None, range(8))]
)
async def test_blocks_may_be_nested(task: Tasks, topics: list[str] | None, expected: Any) -> None:
    """Also within the topics of the task itself; nothing comes twice."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        same = tukio.broker.TopicManager("t")
        send(0)
        with same:
            send(1)
            with tukio.broker.TopicManager("t"), same:
                send(2)
            send(3)
        send(4)
        tukio.broker.TopicManager.subscribe("t")
        send(5)
        tukio.broker.TopicManager.unsubscribe("t")
        send(6)
        tukio.broker.TopicManager.unsubscribe("never")
        send(7)
        got.extend(drain(tukio.current_task()))

    def send(n: int) -> None:
        tukio.get_broker().dispatch({"n": n}, "t")

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(topics), {})

    assert run.errors == {}
    assert got == list(expected)


async def test_a_task_may_unsubscribe_from_a_topic_of_its_template(task: Tasks) -> None:
    """In 1.1.2 that killed the workflow (B39)."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        for n in range(3):
            tukio.get_broker().dispatch({"n": n}, ["t", "other"] if n == 2 else "t")
            tukio.broker.TopicManager.unsubscribe("t")
        got.extend(drain(tukio.current_task()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(["t", "other"]), {})

    assert run.state is tukio.FutureState.finished
    assert run.errors == {}
    assert got == [0, 2]


async def test_sub_tasks_subscribe_for_their_task(task: Tasks) -> None:
    """Each step has its own queue, however many are at work."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        me, topic = tukio.current_task(), event.data["topic"]

        async def listen() -> None:
            with tukio.broker.TopicManager(topic):
                await anyio.sleep(1)

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
        got.append((topic, drain(me)))

    async with tukio.Engine() as engine:
        for topic in "xy":
            await engine.run_once(flow("a"), {"topic": topic})
        await anyio.sleep(0.5)
        for n, topics in enumerate(["x", "y", ["x", "y"]]):
            engine.broker.dispatch({"n": n}, topics)

    assert sorted(got) == [("x", [0, 2]), ("y", [1, 2])]


async def test_what_outlives_a_task_cannot_subscribe_for_it(task: Tasks) -> None:
    """The task has unsubscribed from everything: nobody would undo it (B59)."""
    refused: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        group.start_soon(late)

    async def late() -> None:
        await anyio.sleep(1)
        try:
            tukio.broker.TopicManager.subscribe("t")
        except tukio.EngineError as error:
            refused.append(str(error))

    async with tukio.Engine() as engine, anyio.create_task_group() as group:
        run: Any = await engine.run_once(flow("a"), {})
        await anyio.sleep(2)
        engine.broker.dispatch({"n": 1}, "t")
        assert [drain(step) for step in run.tasks] == [[]]

    assert len(refused) == 1


@pytest.mark.parametrize("topic", [5, b"t", ["t"]])
async def test_a_topic_must_be_a_string(task: Tasks, topic: Any) -> None:
    """An error in the call; the step listens to what it did before, and ends in good order."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        with pytest.raises(TypeError):
            tukio.broker.TopicManager.subscribe(topic)
        with pytest.raises(TypeError), tukio.broker.TopicManager(topic):
            pass
        tukio.get_broker().dispatch({"n": 1}, "t")
        got.extend(drain(tukio.current_task()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(with_topics(["t"]), {})

    assert run.errors == {}
    assert got == [1]


@OUTSIDE
async def test_outside_a_task_there_is_no_queue_to_feed(call: Callable[[], object]) -> None:
    """Neither in the engine's block nor in a handler."""
    errors: list[BaseException] = []

    def handler(event: tukio.Event) -> None:
        with pytest.raises(tukio.EngineError, match="not inside a task") as refusal:
            call()
        errors.append(refusal.value)

    with pytest.raises(tukio.EngineError, match="not inside a task"):
        call()
    async with tukio.Engine() as engine:
        with pytest.raises(tukio.EngineError, match="not inside a task"):
            call()
        engine.broker.register(handler)
        engine.broker.dispatch({})

    assert len(errors) == 1


@OUTSIDE
def test_outside_of_any_loop_neither(call: Callable[[], object]) -> None:
    """Nor does it need one to say so."""
    with pytest.raises(tukio.EngineError, match="not inside a task"):
        call()


@LOOPS
async def test_a_task_outside_a_workflow_may_listen(task: Tasks) -> None:
    """As in 1.x: it has a queue, and the broker is that of its loop."""
    got: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        current: Any = asyncio.current_task()
        broker = tukio.get_broker()
        with tukio.broker.TopicManager("t"):
            broker.dispatch({"n": 1}, "t")
            await anyio.sleep(1)
        broker.dispatch({"n": 2}, "t")
        await anyio.sleep(1)
        got.extend(drain(current))

    await new_task("a", data={})
    assert got == [1]


# get_broker ---------------------------------------------------------------------------------------


async def test_the_broker_is_that_of_the_engine_around(task: Tasks) -> None:
    """In a task that of its run, in a block the innermost, and after it the one before."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append(tukio.get_broker())
        async with anyio.create_task_group() as group:
            group.start_soon(look)

    async def look() -> None:
        seen.append(tukio.get_broker())

    async with tukio.Engine() as engine:
        async with tukio.Engine() as inner:
            assert tukio.get_broker() is inner.broker
            run: Any = await engine.run_once(flow("a"), {})
            await run.wait()
            async with anyio.create_task_group() as group:
                group.start_soon(look)
        assert tukio.get_broker() is engine.broker

    assert seen == [engine.broker, engine.broker, inner.broker]
    assert engine.broker is not inner.broker


@pytest.mark.backends("trio")
async def test_on_trio_there_is_no_broker_without_an_engine() -> None:
    """Neither before one nor after it."""
    for _ in range(2):
        with pytest.raises(tukio.EngineError, match="use the 'broker' of an engine"):
            tukio.get_broker()
        async with tukio.Engine():
            pass


def test_outside_of_any_loop_there_is_none_either() -> None:
    """The error says what to use."""
    with pytest.raises(tukio.EngineError, match="use the 'broker' of an engine"):
        tukio.get_broker()


@LOOPS
async def test_in_loose_mode_a_loop_has_one_broker(task: Tasks) -> None:
    """All engines on it share it, and so do their tasks."""
    seen: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        seen.append(tukio.get_broker())

    broker = tukio.get_broker()
    loop = asyncio.get_running_loop()
    engines = [tukio.Engine(), tukio.Engine(loop=loop)]
    for engine in engines:
        run: Any = await engine.run_once(flow("a"), {})
        await run
    async with tukio.Engine() as structured:
        assert tukio.get_broker() is structured.broker is not broker
        assert tukio.get_broker(loop) is broker

    assert seen == [broker, broker]
    assert [engine.broker for engine in engines] == [broker, broker]
    assert tukio.get_broker() is broker


@LOOPS
async def test_an_engine_whose_broker_was_looked_at_shares_it_all_the_same(task: Tasks) -> None:
    """A handler may be registered before the engine is used for the first time."""
    story: list[str] = []
    engine = tukio.Engine()
    engine.broker.register(lambda event: story.append("engine's"), "t")
    tukio.get_broker().register(lambda event: story.append("loop's"), "t")
    await engine.data_received({}, "t")

    assert sorted(story) == ["engine's", "loop's"]


@LOOPS
def test_each_loop_has_a_broker_of_its_own(backend: str) -> None:
    """Known by the loop, before it runs and afterwards."""
    with no_asyncio_errors():
        loops = [new_loop(backend) for _ in range(2)]
        brokers = [tukio.get_broker(loop) for loop in loops]

        async def look() -> tukio.broker.Broker:
            return tukio.get_broker()

        assert [loop.run_until_complete(look()) for loop in loops] == brokers
        assert [tukio.Engine(loop=loop).broker for loop in loops] == brokers
        assert brokers[0] is not brokers[1]
        for loop in loops:
            loop.close()
