"""`engine.subscribe()`: events as an iterator; and the end of an engine, as its listeners see it.

When an engine is left, its handlers have `cleanup_timeout` seconds for what was dispatched to them,
and the iterations end.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.checkpoints import cancel_at_every_await
from support.flow import flow
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from support.flow import Tasks

LOOPS = pytest.mark.backends("asyncio", "uvloop")


def send(engine: tukio.Engine, *numbers: int, topic: str | list[str] | None = "a") -> None:
    """Dispatch a number after the other."""
    for n in numbers:
        engine.broker.dispatch({"n": n}, topic)


async def take(events: AsyncIterator[tukio.Event], count: int) -> list[int]:
    """Return the numbers of the next events."""
    return [(await anext(events)).data["n"] for _ in range(count)]


async def rest(events: AsyncIterator[tukio.Event]) -> list[int]:
    """Return the numbers of all events until the end."""
    return [event.data["n"] async for event in events]


async def leave(how: str, scope: anyio.CancelScope) -> None:
    """End a block: by an error, by cancelling the scope it is in, or else not."""
    if how == "failed":
        raise LookupError
    if how == "cancelled":
        scope.cancel()
        await anyio.sleep(100)


# What a reader gets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topics", "expected"),
    [((), range(6)), (("a",), [1, 3, 5]), (("b", "a", "b"), [1, 2, 3, 5]), (("z",), [])],
)
async def test_a_reader_gets_the_events_of_its_topics_in_order(
    topics: tuple[str, ...], expected: list[int]
) -> None:
    """No topic is every topic; an event of several topics comes once."""
    sent = [None, "a", "b", ["a", "b"], "other", "a"]
    async with tukio.Engine() as engine:
        send(engine, -1)
        async with engine.subscribe(*topics) as events:
            for n, topic in enumerate(sent):
                send(engine, n, topic=topic)
        send(engine, 99)
        assert await rest(events) == list(expected)
        assert events.dropped == 0


async def test_execution_events_are_for_readers_who_ask(task: Tasks) -> None:
    """`EXEC_TOPIC` has those of all runs, and the topic below it those of one."""

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    async with (
        tukio.Engine() as engine,
        engine.subscribe() as everything,
        engine.subscribe(tukio.EXEC_TOPIC) as all_runs,
        engine.subscribe(tukio.EXEC_TOPIC, "a") as all_runs_and_a,
    ):
        first: Any = await engine.run_once(flow("a"), {})
        async with engine.subscribe(f"{tukio.EXEC_TOPIC}/{first.uid}") as one_run:
            await first.wait()
            second: Any = await engine.run_once(flow("a"), {})
            await second.wait()
        send(engine, 1)

    assert await rest(everything) == [1]
    words = ["workflow-begin", "task-begin", "task-end", "workflow-end"]
    assert [event.data["type"] async for event in one_run] == words
    assert [event.data["type"] async for event in all_runs] == words * 2
    topics = [(tukio.EXEC_TOPIC, f"{tukio.EXEC_TOPIC}/{run.uid}") for run in (first, second)]
    assert [event.topic async for event in all_runs_and_a] == [
        *[topics[0]] * 4,
        *[topics[1]] * 4,
        ("a",),
    ]


async def test_each_reader_has_events_of_its_own() -> None:
    """One that scribbles in them changes nobody else's."""
    data = {"n": 1}
    async with (
        tukio.Engine() as engine,
        engine.subscribe("a") as first,
        engine.subscribe("a") as second,
    ):
        engine.broker.dispatch(data, "a")
        event = await anext(first)
        event.data["scribbled"] = True
        assert (await anext(second)).data == data == {"n": 1}


async def test_a_reader_waits_for_what_comes(task: Tasks) -> None:
    """It may be a step of a run, and the sender another."""
    story: list[Any] = []

    @task
    async def reads(event: tukio.Event) -> None:
        async with engine.subscribe("a") as events:
            async for heard in events:
                story.append((anyio.current_time(), heard.data["n"]))
                if heard.data["n"] == 2:
                    break

    @task
    async def sends(event: tukio.Event) -> None:
        for n in range(4):
            await anyio.sleep(10)
            await engine.data_received({"n": n}, "a")

    @task
    async def root(event: tukio.Event) -> None:
        pass

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow({"root": ["reads", "sends"]}), {})

    assert run.errors == {}
    assert story == [(10, 0), (20, 1), (30, 2)]


async def test_a_slow_reader_holds_up_nobody() -> None:
    """Neither the sender nor another reader."""
    story: list[Any] = []

    async def read(seconds: float) -> None:
        async with engine.subscribe("a") as events:
            async for event in events:
                await anyio.sleep(seconds)
                story.append((anyio.current_time(), seconds, event.data["n"]))

    async with anyio.create_task_group() as group, tukio.Engine() as engine:
        group.start_soon(read, 5)
        group.start_soon(read, 1)
        await settle()
        send(engine, 0, 1)
        assert anyio.current_time() == 0

    assert story == [(1, 1, 0), (2, 1, 1), (5, 5, 0), (10, 5, 1)]


# The buffer ---------------------------------------------------------------------------------------


async def test_a_full_buffer_drops_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    """It counts them, and warns once; nobody waits."""
    async with tukio.Engine() as engine, engine.subscribe("a", buffer=3) as events:
        send(engine, 0, 1, 2)
        assert events.dropped == 0
        send(engine, 3, 4)
        assert events.dropped == 2
        assert await take(events, 1) == [2]
        send(engine, 5, 6, 7)
        assert events.dropped == 4

    assert await rest(events) == [5, 6, 7]
    assert [record.getMessage() for record in caplog.records] == [
        "a queue is full (3 events): the oldest are dropped"
    ]


async def test_a_buffer_of_one_holds_the_latest() -> None:
    """The least there can be."""
    async with tukio.Engine() as engine, engine.subscribe(buffer=1) as events:
        send(engine, *range(10))
        assert await take(events, 1) == [9]
        assert events.dropped == 9


async def test_a_buffer_holds_a_thousand_events_unless_told_otherwise() -> None:
    """As many as `tukio.stream.BUFFER` says."""
    async with tukio.Engine() as engine, engine.subscribe() as events:
        send(engine, *range(1001))
        assert events.dropped == 1

    assert await rest(events) == list(range(1, 1001))


@pytest.mark.parametrize("buffer", [0, -1, -(10**6)])
async def test_a_buffer_must_be_positive(buffer: int) -> None:
    """Said at once, not when the block is entered."""
    async with tukio.Engine() as engine:
        with pytest.raises(ValueError, match=f"positive number of events, not {buffer}"):
            engine.subscribe("a", buffer=buffer)


# Leaving ------------------------------------------------------------------------------------------


async def test_leaving_the_loop_is_not_leaving_the_block() -> None:
    """After a `break` another loop goes on with the next event."""
    got: list[int] = []
    async with tukio.Engine() as engine, engine.subscribe("a") as events:
        send(engine, *range(3))
        async for event in events:
            got.append(event.data["n"])
            if event.data["n"] == 1:
                break
        send(engine, 3)
        assert await take(events, 2) == [2, 3]

    assert got == [0, 1]


async def test_leaving_the_block_unsubscribes() -> None:
    """Whether it fails or not; what has come can still be read, then it ends."""
    async with tukio.Engine() as engine:
        events = engine.subscribe("a", buffer=2)
        with pytest.raises(LookupError, match="mine"):
            async with events:
                send(engine, 0, 1)
                raise LookupError("mine")
        send(engine, 2, 3)
        assert events.dropped == 0
        assert await rest(events) == [0, 1]
        assert await rest(events) == []


async def test_a_refused_topic_leaves_nothing_subscribed() -> None:
    """There is no block to enter, and nobody hears anything."""
    bad: Any = 5
    async with tukio.Engine() as engine:
        with pytest.raises(TypeError, match="topic must be a string"):
            engine.subscribe("a", bad, buffer=1)


async def test_a_reader_that_is_cancelled_while_it_waits_loses_nothing() -> None:
    """Also when the event comes at the very instant of its time limit."""
    async with tukio.Engine() as engine, engine.subscribe("a") as events:
        for n in range(20):
            got: list[int] = []

            async def later(n: int) -> None:
                await anyio.sleep(1)
                send(engine, n)

            async with anyio.create_task_group() as group:
                group.start_soon(later, n)
                with anyio.move_on_after(1):
                    got += await take(events, 1)
            assert got or await take(events, 1) == [n]


async def test_a_reader_may_be_cancelled_at_every_await() -> None:
    """Nothing of it stays with the broker, and what it had not read is not lost on the way."""
    async with tukio.Engine() as engine:
        streams: list[tukio.EventStream] = []
        got: list[int] = []

        async def body() -> None:
            streams.append(engine.subscribe("a", buffer=4))
            got.clear()
            async with anyio.create_task_group() as group, streams[-1] as events:
                group.start_soon(later)
                send(engine, 0)
                got.extend(await take(events, 1))
                await anyio.lowlevel.checkpoint()
                got.extend(await take(events, 3))

        async def later() -> None:
            for n in (1, 2, 3):
                await anyio.sleep(1)
                send(engine, n)

        async def nothing_is_left(point: int) -> None:
            send(engine, *range(10))
            assert streams[-1].dropped == 0
            # At the first await it had only begun to listen.
            sent = max(len(got), 1) if point > 1 else 0
            assert got + await rest(streams[-1]) == list(range(sent))

        assert await cancel_at_every_await(body, nothing_is_left) >= 4
        assert got == [0, 1, 2, 3]


async def test_a_step_that_reads_can_be_cancelled(task: Tasks) -> None:
    """Its run ends at once, and its stream is out of the broker."""
    streams: list[tukio.EventStream] = []

    @task
    async def reads(event: tukio.Event) -> None:
        async with engine.subscribe("a", buffer=1) as events:
            streams.append(events)
            await rest(events)

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("reads"), {})
        await anyio.sleep(1)
        run.cancel()
        assert await run.wait() is tukio.FutureState.cancelled
        send(engine, *range(5))

    assert streams[0].dropped == 0
    assert anyio.current_time() == 1


# The end of the engine ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["left", "failed", "cancelled"])
async def test_the_iteration_ends_with_the_engine(how: str) -> None:
    """However it ends, after what was dispatched until then."""
    got: list[Any] = []

    async def read() -> None:
        async with engine.subscribe("a") as events:
            async for event in events:
                await anyio.sleep(1)
                got.append(event.data["n"])
        got.append("end")

    async with anyio.create_task_group() as group:
        with suppress(LookupError), anyio.CancelScope() as scope:
            async with tukio.Engine() as engine:
                group.start_soon(read)
                await settle()
                send(engine, 0, 1, 2)
                await leave(how, scope)

    assert got == [0, 1, 2, "end"]


async def test_the_last_event_of_the_last_run_is_read(task: Tasks) -> None:
    """The end of the iteration comes after it."""
    got: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async def read() -> None:
        async with engine.subscribe(tukio.EXEC_TOPIC) as events:
            got.extend([event.data["type"] async for event in events])

    async with anyio.create_task_group() as group, tukio.Engine() as engine:
        group.start_soon(read)
        await settle()
        await engine.run_once(flow("a"), {})

    assert got == ["workflow-begin", "task-begin", "task-end", "workflow-end"]


async def test_a_reader_may_leave_its_block_while_handlers_are_waited_for() -> None:
    """Its iteration has ended, the engine has not yet."""
    story: list[Any] = []

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(1)
        story.append("handler")

    async def read() -> None:
        async with engine.subscribe("a") as events:
            story.append(await rest(events))

    async with anyio.create_task_group() as group, tukio.Engine() as engine:
        group.start_soon(read)
        await settle()
        engine.broker.register(slow, "a")
        send(engine, 1)

    assert sorted(story, key=str) == [[1], "handler"]


@pytest.mark.parametrize("topics", [(), ("a",), (tukio.EXEC_TOPIC,)])
async def test_there_is_nothing_to_read_of_an_engine_that_is_over(topics: tuple[str, ...]) -> None:
    """A reader that comes too late does not wait for ever."""
    async with tukio.Engine() as engine:
        pass
    async with engine.subscribe(*topics) as events:
        with anyio.fail_after(1):
            assert await rest(events) == []


@LOOPS
async def test_the_iteration_ends_with_an_engine_in_loose_mode() -> None:
    """When it was stopped and all runs are over; another engine on that loop goes on."""
    engine, other = tukio.Engine(), tukio.Engine()
    await engine.data_received({})
    await other.data_received({})
    async with engine.subscribe("a") as events, other.subscribe("a") as others:
        send(engine, 1)
        await engine.stop()
        with anyio.fail_after(1):
            assert await rest(events) == [1]
        send(other, 2)
        assert (await take(others, 2))[-1] == 2


@LOOPS
async def test_a_block_may_be_entered_before_the_engine_is_used_in_loose_mode() -> None:
    """It hears of the engine, and leaving it unsubscribes as ever."""
    engine = tukio.Engine()
    async with engine.subscribe("a", buffer=1) as events:
        await engine.data_received({"n": 1}, "a")
        assert await take(events, 1) == [1]
    send(engine, 2, 3, 4)
    assert events.dropped == 0


# What handlers still get when the engine is left --------------------------------------------------


def slow_handler(story: list[Any], seconds: float) -> Callable[[tukio.Event], Awaitable[None]]:
    """Return an async handler that takes its time before it notes when it was done."""

    async def note(event: tukio.Event) -> None:
        await anyio.sleep(seconds)
        story.append((anyio.current_time(), event.data["n"]))

    return note


@pytest.mark.parametrize(
    ("seconds", "limit", "ends_at", "done"),
    [
        (1, 5, 3, [(1, 0), (2, 1), (3, 2)]),
        (2, 5, 5, [(2, 0), (4, 1)]),
        (2, 6.5, 6, [(2, 0), (4, 1), (6, 2)]),
        (2, 1, 1, []),
        (math.inf, 5, 5, []),
    ],
)
@pytest.mark.parametrize("how", ["left", "failed", "cancelled"])
async def test_leaving_the_engine_waits_for_handlers_but_not_for_ever(
    seconds: float, limit: float, ends_at: float, done: list[Any], how: str
) -> None:
    """However it is left; all handlers share one limit."""
    story: list[Any] = []
    others: list[Any] = []
    with suppress(LookupError), anyio.CancelScope() as scope:
        async with tukio.Engine(cleanup_timeout=limit) as engine:
            engine.broker.register(slow_handler(others, seconds), "a")
            engine.broker.register(slow_handler(story, seconds), "a")
            send(engine, 0, 1, 2)
            await leave(how, scope)

    assert anyio.current_time() == ends_at
    assert story == others == done


async def test_a_handler_that_is_cut_short_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """With what it has lost: the call in progress, and those that wait."""

    async def hangs(event: tukio.Event) -> None:
        await anyio.sleep_forever()

    for count in (1, 3):
        caplog.clear()
        async with tukio.Engine() as engine:
            engine.broker.register(hangs, "a")
            send(engine, *range(count))
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "hangs" in record.getMessage()
        assert "was cut short" in record.getMessage()


async def test_handlers_that_keep_each_other_busy_do_not_keep_the_engine() -> None:
    """They are cut as one that hangs."""
    heard: list[float] = []

    async def ping_pong(event: tukio.Event) -> None:
        await anyio.sleep(1)
        heard.append(anyio.current_time())
        send(engine, event.data["n"] + 1)

    async with tukio.Engine() as engine:
        engine.broker.register(ping_pong, "a")
        send(engine, 0)

    assert anyio.current_time() == 5
    assert heard in ([1, 2, 3, 4], [1, 2, 3, 4, 5])


async def test_what_a_handler_sends_while_the_engine_is_left_is_heard() -> None:
    """By all others, whether they were registered before it or after."""
    story: list[str] = []

    async def late(event: tukio.Event) -> None:
        await anyio.sleep(1)
        send(engine, 1, topic="late")

    async with tukio.Engine() as engine:
        engine.broker.register(lambda event: story.append("before"), "late")
        engine.broker.register(late, "a")
        engine.broker.register(lambda event: story.append("after"), "late")
        send(engine, 0)

    assert story == ["before", "after"]


@pytest.mark.parametrize("itself", [False, True])
async def test_a_handler_may_unregister_while_the_engine_is_left(
    task: Tasks, caplog: pytest.LogCaptureFixture, itself: bool
) -> None:
    """As one does that follows a run to its end: itself, or another."""
    story: list[str] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)

    def other(event: tukio.Event) -> None:
        story.append(event.data["type"])

    async def follow(event: tukio.Event) -> None:
        await anyio.sleep(1)
        if event.data["type"] == "workflow-end":
            engine.broker.unregister(follow if itself else other, tukio.EXEC_TOPIC)
            story.append("unregistered")

    async with tukio.Engine() as engine:
        engine.broker.register(other, tukio.EXEC_TOPIC)
        engine.broker.register(follow, tukio.EXEC_TOPIC)
        await engine.run_once(flow("a"), {})

    assert caplog.messages == []
    assert story == [*["workflow-begin", "task-begin", "task-end", "workflow-end", "unregistered"]]


async def test_an_engine_that_is_over_calls_no_async_handler() -> None:
    """It has forgotten those it had; a new one is refused or not called, in words of ours."""
    story: list[Any] = []

    async def note(event: tukio.Event) -> None:
        story.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
    send(engine, 1)
    with suppress(tukio.EngineError):
        engine.broker.register(note, "a")
        send(engine, 2)
    await settle()

    assert story == []
