"""The queue of a task: the same on every backend, and to code written for 1.x an asyncio queue."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, strategies as st

import tukio
from support.checkpoints import cancel_at_every_await
from support.flow import flow
from tukio._events.queue import INBOX_SIZE, Inbox
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from support.flow import Tasks

LOOPS = pytest.mark.backends("asyncio", "uvloop")


def put(inbox: Inbox, *numbers: int) -> None:
    """Put a number after the other."""
    for n in numbers:
        inbox.put_nowait(tukio.Event({"n": n}))


def drain(inbox: Inbox) -> list[int]:
    """Return all numbers."""
    return [inbox.get_nowait().data["n"] for _ in range(inbox.qsize())]


async def get(inbox: Inbox) -> int:
    """Return the next number."""
    number: int = (await inbox.get()).data["n"]
    return number


# One after the other ------------------------------------------------------------------------------


async def test_a_task_reads_what_is_sent_to_it(task: Tasks) -> None:
    """First in, first out; it waits for what has not come."""
    story: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        queue = tukio.current_task().queue
        assert queue.empty()
        while len(story) < 4:
            n = await get(queue)
            story.append((n, anyio.current_time(), queue.qsize()))

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})
        await settle()
        (step,) = run.tasks
        put(step.queue, 0, 1)
        await anyio.sleep(1)
        await step.data_received(tukio.Event({"n": 2}))
        await anyio.sleep(1)
        await step.queue.put(tukio.Event({"n": 3}))

    assert run.errors == {}
    assert story == [(0, 0, 1), (1, 0, 0), (2, 1, 0), (3, 2, 0)]


def test_what_an_empty_queue_raises() -> None:
    """What anyio raises, and what asyncio's queues do."""
    inbox = Inbox()
    for error in (anyio.WouldBlock, asyncio.QueueEmpty):
        with pytest.raises(error):
            inbox.get_nowait()
    put(inbox, 1)
    assert inbox.get_nowait().data == {"n": 1}
    with pytest.raises(anyio.WouldBlock):
        inbox.get_nowait()


def test_a_full_queue_drops_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    """It counts them, and warns once."""
    inbox = Inbox(3)
    for n, (size, empty, full, dropped) in enumerate(
        [
            (0, True, False, 0),
            (1, False, False, 0),
            (2, False, False, 0),
            (3, False, True, 0),
            (3, False, True, 1),
        ]
    ):
        assert (inbox.qsize(), inbox.empty(), inbox.full()) == (size, empty, full)
        assert inbox.dropped == dropped
        put(inbox, n)

    assert inbox.size == 3
    assert inbox.dropped == 2
    assert drain(inbox) == [2, 3, 4]
    assert caplog.messages == ["a queue is full (3 events): the oldest are dropped"]


async def test_the_queue_of_a_task_holds_ten_thousand_events(task: Tasks) -> None:
    """More than that a task that does not read loses, and harms nobody."""
    got: list[int] = []

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(1)
        queue = tukio.current_task().queue
        assert queue.full()
        assert queue.dropped == 3
        got.extend(drain(queue))

    template = flow("a")
    template.tasks[0].topics = ["t"]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        await settle()
        for n in range(INBOX_SIZE + 3):
            engine.broker.dispatch({"n": n}, "t")

    assert INBOX_SIZE == 10_000
    assert run.errors == {}
    assert got == list(range(3, 10_003))


@pytest.mark.parametrize("then", ["put", "close"])
async def test_a_reader_that_was_woken_and_is_cancelled_at_once_takes_nothing(then: str) -> None:
    """The event is there for the next one; of a closed queue there is none."""
    inbox = Inbox()
    scope = anyio.CancelScope()

    async def read() -> None:
        with scope:
            await inbox.get()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await settle()
        scope.cancel()
        if then == "put":
            put(inbox, 1)
        else:
            inbox.close()

    assert scope.cancelled_caught
    assert drain(inbox) == ([1] if then == "put" else [])


@given(
    size=st.integers(1, 4),
    history=st.lists(st.sampled_from(["put", "put", "get"]), max_size=30),
)
def test_a_queue_is_a_deque_with_a_limit(size: int, history: list[str]) -> None:
    """Whatever is put in and taken out."""
    inbox, model = Inbox(size), deque[int](maxlen=size)
    puts = gets = 0
    for n, action in enumerate(history):
        if action == "put":
            put(inbox, n)
            model.append(n)
            puts += 1
        elif model:
            assert inbox.get_nowait().data == {"n": model.popleft()}
            gets += 1
        else:
            with pytest.raises(anyio.WouldBlock):
                inbox.get_nowait()
        assert (inbox.qsize(), inbox.empty()) == (len(model), not model)
        assert inbox.full() == (len(model) == size)
        assert inbox.dropped == puts - gets - len(model)
    assert drain(inbox) == list(model)


# Those who wait -----------------------------------------------------------------------------------


async def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    """Also if all of it comes at once; in 1.x an asyncio queue did that."""
    inbox, story = Inbox(), list[Any]()

    async def reader(name: str) -> None:
        story.append((name, await get(inbox)))

    for _ in range(10):
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(reader, name)
                await settle()
            put(inbox, 0, 1, 2)

    assert sorted(story) == sorted([("a", 0), ("b", 1), ("c", 2)] * 10)


async def test_those_who_wait_take_turns() -> None:
    """One that asks again is behind those who have waited for longer."""
    inbox, story = Inbox(), list[str]()

    async def reader(name: str) -> None:
        for _ in range(3):
            await get(inbox)
            story.append(name)

    async with anyio.create_task_group() as group:
        for name in "abc":
            group.start_soon(reader, name)
            await settle()
        for n in range(9):
            put(inbox, n)
            await settle()

    assert story == [*"abcabcabc"]


async def test_each_event_is_for_one_reader() -> None:
    """However many there are, and whoever comes in between."""
    inbox, story = Inbox(), list[int]()

    async def reader() -> None:
        for _ in range(10):
            story.append(await get(inbox))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(reader)
        for n in range(30):
            put(inbox, n)
            if n % 4 == 0:
                await anyio.sleep(1)

    assert sorted(story) == list(range(30))
    assert inbox.empty()


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("event_first", [False, True])
async def test_a_reader_that_is_cancelled_as_an_event_comes_loses_nothing(
    event_first: bool, other: bool
) -> None:
    """Another one who waits gets it, or the next one to ask."""
    inbox, got = Inbox(), list[int]()

    async def reader() -> None:
        got.append(await get(inbox))

    async with anyio.create_task_group() as outer:
        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await settle()
            if other:
                outer.start_soon(reader)
                await settle()
            if event_first:
                put(inbox, 1)
            group.cancel_scope.cancel()
            if not event_first:
                put(inbox, 1)
        await settle()
        outer.cancel_scope.cancel()
    assert got + drain(inbox) == [1]
    assert got == [1] or not other


async def test_a_reader_that_is_cancelled_at_the_instant_of_an_event_loses_nothing() -> None:
    """Again and again: its time limit and the event are due at the same time."""
    inbox = Inbox()
    got: list[int] = []

    async def later(n: int) -> None:
        await anyio.sleep(1)
        put(inbox, n)

    for n in range(30):
        async with anyio.create_task_group() as group:
            group.start_soon(later, n)
            with anyio.move_on_after(1):
                got.append(await get(inbox))
        got += drain(inbox)

    assert got == list(range(30))


async def test_one_who_is_cancelled_already_takes_nothing() -> None:
    """Although there is something to take."""
    inbox = Inbox()
    put(inbox, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await get(inbox)

    assert scope.cancelled_caught
    assert drain(inbox) == [1]


async def test_a_reader_may_be_cancelled_at_every_await() -> None:
    """What it has not got is still there."""
    boxes: list[Inbox] = []
    got: list[int] = []

    async def body() -> None:
        boxes.append(Inbox())
        got.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(later, boxes[-1])
            for _ in range(3):
                got.append(await get(boxes[-1]))
                await anyio.sleep(0.25)

    async def later(inbox: Inbox) -> None:
        for n in range(3):
            await anyio.sleep(0.5)
            put(inbox, n)

    async def nothing_is_lost(point: int) -> None:
        numbers = got + drain(boxes[-1])
        assert numbers == list(range(len(numbers)))

    assert await cancel_at_every_await(body, nothing_is_lost) >= 6
    assert got == [0, 1, 2]


async def test_no_one_waits_for_what_will_not_come() -> None:
    """Of a closed queue the rest is read, by whoever waits or comes."""
    inbox, story = Inbox(), list[Any]()

    async def reader(name: str) -> None:
        try:
            while True:
                story.append((name, await get(inbox)))
        except anyio.EndOfStream:
            story.append(f"{name} ends")

    async with anyio.create_task_group() as group:
        group.start_soon(reader, "a")
        await settle()
        put(inbox, 1, 2)
        inbox.close()
        await settle()
        group.start_soon(reader, "b")

    assert story == [("a", 1), ("a", 2), "a ends", "b ends"]


# Code written for 1.x -----------------------------------------------------------------------------


@LOOPS
async def test_waiting_with_the_means_of_asyncio(task: Tasks) -> None:
    """A time limit that passes takes nothing with it, nor does a task that was given up."""
    story: list[Any] = []

    @task
    class A(tukio.TaskHolder):
        async def execute(self, event: tukio.Event) -> None:
            queue: Any = self.queue
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(queue.get(), 0.5)
            waiting = asyncio.ensure_future(queue.get())
            await asyncio.wait([waiting], timeout=0.25)
            waiting.cancel()
            story.append((await asyncio.wait_for(queue.get(), 1)).data)
            getters = {asyncio.ensure_future(queue.get()) for _ in range(2)}
            done, pending = await asyncio.wait(getters, return_when=asyncio.FIRST_COMPLETED)
            story.append([one.result().data for one in done])
            for one in pending:
                one.cancel()
            try:
                queue.get_nowait()
            except asyncio.QueueEmpty:
                story.append("empty")

    template = flow("A")
    template.tasks[0].topics = ["t"]
    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(template, {})
        for n in range(2):
            await asyncio.sleep(1)
            engine.broker.dispatch({"n": n}, "t")

    assert run.errors == {}
    assert story == [{"n": 0}, [{"n": 1}], "empty"]


async def test_what_was_taken_may_be_called_done_and_waited_for(task: Tasks) -> None:
    """A worker of 1.x says `task_done()` after each event, and another task joins the queue."""
    story: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        queue: Any = tukio.current_task().queue

        async def work() -> None:
            while True:
                await queue.get()
                await anyio.sleep(1)
                queue.task_done()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await queue.join()
            story.append(anyio.current_time())
            put(queue, 1, 2, 3)
            await queue.join()
            story.append(anyio.current_time())
            group.cancel_scope.cancel()
        with pytest.raises(ValueError):
            queue.task_done()

    async with tukio.Engine() as engine:
        run: Any = await engine.run_once(flow("a"), {})

    assert run.errors == {}
    assert story == [0, 3]


async def test_an_event_that_was_dropped_is_not_waited_for() -> None:
    """Each that was not is: a full queue that goes on is joined when all it holds is done."""
    inbox, times = Inbox(2), list[float]()
    put(inbox, *range(5))

    async def work() -> None:
        for _ in range(2):
            await anyio.sleep(1)
            inbox.task_done()

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        await inbox.join()
        times.append(anyio.current_time())

    assert times == [2]
    assert inbox.dropped == 3


async def test_several_may_join_a_queue() -> None:
    """Each goes on when all is done, whoever came first."""
    inbox, times = Inbox(), list[float]()
    put(inbox, 1, 2)

    async def join() -> None:
        await inbox.join()
        times.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        group.start_soon(join)
        group.start_soon(join)
        for _ in range(2):
            await anyio.sleep(1)
            inbox.task_done()

    assert times == [2, 2]
    assert drain(inbox) == [1, 2]


def test_a_queue_says_how_many_events_it_holds_as_those_of_asyncio_do() -> None:
    """Ten thousand, unless another number is given."""
    assert Inbox(3).maxsize == Inbox(3).size == 3
    assert Inbox().maxsize == INBOX_SIZE


async def test_a_queue_that_holds_more_than_it_takes_is_full() -> None:
    """What a cancelled reader has put back comes on top of it, and nothing is lost for that."""
    inbox = Inbox(1)
    async with anyio.create_task_group() as group:
        group.start_soon(get, inbox)
        await settle()
        group.cancel_scope.cancel()
        put(inbox, 0, 1)
    assert inbox.qsize() == 2
    assert inbox.full()
    assert drain(inbox) == [0, 1]


# Readers that give up together --------------------------------------------------------------------


@pytest.mark.parametrize("readers", [1, 2, 3, 5])
@pytest.mark.parametrize("events", [1, 2, 3, 6])
async def test_readers_that_are_cancelled_together_leave_the_events_in_order(
    readers: int, events: int
) -> None:
    """Whichever of them is woken first."""
    inbox = Inbox()
    async with anyio.create_task_group() as group:
        for _ in range(readers):
            group.start_soon(get, inbox)
        await settle()
        group.cancel_scope.cancel()
        put(inbox, *range(events))
    put(inbox, events)
    assert drain(inbox) == list(range(events + 1))


@pytest.mark.parametrize("gives_up", range(3))
@LOOPS
async def test_of_readers_that_were_called_the_others_move_up(gives_up: int) -> None:
    """The oldest events are for those who go on, in the order in which they began to wait.

    On trio, those who have their events may be woken before the one that gives up.
    """
    inbox, got = Inbox(), dict[int, int]()
    scopes = [anyio.CancelScope() for _ in range(4)]

    async def read(name: int) -> None:
        with scopes[name]:
            got[name] = await get(inbox)

    async with anyio.create_task_group() as group:
        for name in range(4):
            group.start_soon(read, name)
            await settle()
        scopes[gives_up].cancel()
        put(inbox, 0, 1, 2)
        await settle()
        put(inbox, 3)

    left = [name for name in range(4) if name != gives_up]
    assert got == dict(zip(left, range(3), strict=True))
    assert drain(inbox) == [3]
