"""One handler and its events: what it raises, in which order it is called, and when no more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.handlers import notes, slow_notes
from tukio._events.subscription import Subscription
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from support.flow import Tasks

LOOPS = pytest.mark.backends("asyncio", "uvloop")


# What a handler raises ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_error_of_a_handler_is_logged_and_harms_nobody(
    task: Tasks, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """Neither the other handlers, nor the run it hears of, nor itself the next time."""
    story: list[str] = []

    def bad(event: tukio.Event) -> None:
        raise LookupError(f"mine at {event.data['type']}")

    async def bad_later(event: tukio.Event) -> None:
        await anyio.sleep(1)
        bad(event)

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(10)

    async with tukio.Engine() as engine:
        engine.broker.register(bad_later if is_async else bad, tukio.EXEC_TOPIC)
        engine.broker.register(lambda event: story.append(event.data["type"]), tukio.EXEC_TOPIC)
        run: Any = await engine.run_once(flow("a"), {})

    assert run.state is tukio.FutureState.finished
    assert run.errors == {}
    assert story == ["workflow-begin", "task-begin", "task-end", "workflow-end"]
    logged = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert logged == [f"mine at {kind}" for kind in story]


@LOOPS
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_that_looks_at_something_cancelled_harms_nobody(
    caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """To asyncio that is a cancellation: nobody has asked to cancel the engine, nor the sender."""
    story: list[Any] = []
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()

    def bad(event: tukio.Event) -> None:
        cancelled.result()

    async def bad_later(event: tukio.Event) -> None:
        await cancelled

    async with tukio.Engine() as engine:
        engine.broker.register(bad_later if is_async else bad, "a")
        engine.broker.register(notes(story), "a")
        for n in range(2):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(1)
        story.append("alive")

    assert story == [0, 1, "alive"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_the_calls_that_wait_for_a_slow_handler_have_a_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """New events are dropped, which is logged once; those that wait are dealt with."""
    story: list[Any] = []
    monkeypatch.setattr("tukio._events.subscription.QUEUE_SIZE", 3)
    async with tukio.Engine() as engine:
        engine.broker.register(slow_notes(story), "a")
        engine.broker.register(notes(story, "quick"), "a")
        for n in range(6):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(3.5)
        engine.broker.dispatch({"n": 6}, "a")

    assert story == [*[("quick", n) for n in range(6)], 0, 1, 2, ("quick", 6), 6]
    assert [record.getMessage()[-35:] for record in caplog.records] == [
        "is too slow: new events are dropped"
    ]


async def test_calls_that_are_dropped_with_their_topic_make_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At once: as many wait again as before, and none beyond."""
    story: list[Any] = []
    note = slow_notes(story)
    monkeypatch.setattr("tukio._events.subscription.QUEUE_SIZE", 4)
    async with tukio.Engine() as engine:
        for topic in "ab":
            engine.broker.register(note, topic)
        for n, topic in enumerate("bbba"):
            engine.broker.dispatch({"n": n}, topic)
        engine.broker.unregister(note, "a")
        engine.broker.dispatch({"n": 4}, "b")
        assert caplog.records == []
        engine.broker.dispatch({"n": 5}, "b")

    assert story == [0, 1, 2, 4]
    assert len(caplog.records) == 1


# In which order -----------------------------------------------------------------------------------


async def test_slow_handlers_do_not_wait_for_each_other() -> None:
    """Each gets everything in order, at a pace of its own."""
    story: list[Any] = []

    def timed(name: str, seconds: float) -> Callable[[tukio.Event], Awaitable[None]]:
        async def note(event: tukio.Event) -> None:
            await anyio.sleep(seconds)
            story.append((anyio.current_time(), name, event.data["n"]))

        return note

    async with tukio.Engine() as engine:
        engine.broker.register(timed("slow", 1.25), "a")
        engine.broker.register(timed("quick", 1), "a")
        for n in range(3):
            engine.broker.dispatch({"n": n}, "a")

    assert story == [
        *[(1, "quick", 0), (1.25, "slow", 0), (2, "quick", 1)],
        *[(2.5, "slow", 1), (3, "quick", 2), (3.75, "slow", 2)],
    ]


async def test_data_can_be_dispatched_from_anywhere(task: Tasks) -> None:
    """From a task, a sub-task, a handler of any kind, or when something ends: the order is kept."""
    story: list[Any] = []

    @task
    async def a(event: tukio.Event) -> None:
        send("task")
        async with anyio.create_task_group() as group:
            group.start_soon(send_later, "sub-task")
        tukio.current_task().add_done_callback(lambda _: send("done callback"))

    def send(n: Any) -> None:
        engine.broker.dispatch({"n": n}, "a")

    async def send_later(n: Any) -> None:
        await anyio.lowlevel.checkpoint()
        send(n)

    def echo(event: tukio.Event) -> None:
        if not isinstance(event.data["n"], tuple):
            send((event.data["n"], "heard"))

    async def on_end(event: tukio.Event) -> None:
        if event.data["type"] == "workflow-end":
            await send_later("async handler")

    async with tukio.Engine() as engine:
        engine.broker.register(echo, "a")
        engine.broker.register(notes(story), "a")
        engine.broker.register(lambda event: send(event.data["type"]), tukio.EXEC_TOPIC)
        engine.broker.register(on_end, tukio.EXEC_TOPIC)
        await engine.run_once(flow("a"), {})
        await settle()

    sent = ["workflow-begin", "task-begin", "task", "sub-task", "task-end", "done callback"]
    sent += ["workflow-end", "async handler"]
    assert story == [n for said in sent for n in (said, (said, "heard"))]


# Unregistering ------------------------------------------------------------------------------------


async def test_an_unregistered_handler_is_called_no_more() -> None:
    """It may be registered again, and then gets only what is new."""
    story: list[Any] = []
    note = notes(story)
    async with tukio.Engine() as engine:
        for n, topic in enumerate(["a", None, "a"]):
            engine.broker.register(note, topic)
            engine.broker.dispatch({"n": n}, "a")
            engine.broker.unregister(note, topic)
            engine.broker.dispatch({"n": "unheard"}, "a")
        assert not engine.broker.has_listeners
        engine.broker.register(note, tukio.EXEC_TOPIC)
        assert engine.broker.has_listeners
        engine.broker.unregister(note, tukio.EXEC_TOPIC)
        assert not engine.broker.has_listeners

    assert story == [0, 1, 2]


async def test_a_handler_unregistered_by_an_earlier_one_does_not_get_the_event() -> None:
    """Between the dispatch and its delivery; one that is in another of its topics still does."""
    story: list[Any] = []
    gone, again, other = notes(story, "gone"), notes(story, "again"), notes(story, "other")
    async with tukio.Engine() as engine:
        broker = engine.broker

        def unregister(event: tukio.Event) -> None:
            if event.data["n"] == 0:
                broker.dispatch({"n": 1}, "a")
                for handler in (gone, again, other):
                    broker.unregister(handler, "a")
                broker.register(again, "a")

        for handler in (unregister, gone, again, other):
            broker.register(handler, "a")
        broker.register(other, "b")
        broker.dispatch({"n": 0}, ["a", "b"])
        broker.dispatch({"n": 2}, "a")

    assert story == [("other", 0), ("again", 2)]


async def test_a_call_that_waits_is_not_made_for_one_who_was_unregistered() -> None:
    """The call in progress goes on to its end; nothing else is left of the handler."""
    story: list[Any] = []
    note = slow_notes(story)
    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
        for n in range(3):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(0.5)
        engine.broker.unregister(note, "a")

    assert story == [0]
    assert anyio.current_time() == 1


async def test_a_call_that_waits_is_not_made_if_its_topic_was_unregistered() -> None:
    """An async handler loses what was dispatched in that topic only, as a sync one does."""
    story: list[Any] = []
    note = slow_notes(story)
    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
        engine.broker.register(note, "b")
        for n, topics in enumerate(["a", "b", "a", ["a", "b"]]):
            engine.broker.dispatch({"n": n}, topics)
        engine.broker.unregister(note, "a")

    assert story == [1, 3]


async def test_a_topic_that_is_named_twice_is_left_once() -> None:
    """In whatever way an event is dispatched: its call is dropped, and others are made."""
    story: list[Any] = []
    note = slow_notes(story)
    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
        engine.broker.register(note, "b")
        for n, topics in enumerate(["b", ["a", "a"], "b", "b", "b"]):
            engine.broker.dispatch({"n": n}, topics)
        engine.broker.unregister(note, "a")

    assert story == [0, 2, 3, 4]


async def test_leaving_the_last_topic_closes_what_still_waits() -> None:
    """Some of it was dropped before, for another topic."""
    story: list[Any] = []
    note = slow_notes(story)
    async with tukio.Engine() as engine:
        for topic in "ab":
            engine.broker.register(note, topic)
        for n, topic in enumerate("babbb"):
            engine.broker.dispatch({"n": n}, topic)
        await anyio.sleep(0.5)
        engine.broker.unregister(note, "a")
        engine.broker.unregister(note, "b")

    assert story == [0]
    assert anyio.current_time() == 1


async def test_leaving_one_topic_after_another_costs_what_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits is put in order by topics a few times, not each time that a topic is left."""
    filed: list[Any] = []
    story: list[Any] = []
    file, note = Subscription._file, slow_notes(story)

    def counting(self: Subscription, *args: Any) -> None:
        filed.append(args)
        file(self, *args)

    monkeypatch.setattr(Subscription, "_file", counting)
    topics = [str(number) for number in range(100)]
    async with tukio.Engine() as engine:
        for topic in topics:
            engine.broker.register(note, topic)
        for topic in topics * 5:
            engine.broker.dispatch({"n": topic}, topic)
        for topic in topics:
            engine.broker.unregister(note, topic)

    assert story == []
    assert len(filed) <= 2 * 500


async def test_leaving_one_topic_after_another_drops_what_was_sent_in_between() -> None:
    """Also what came when some of the calls were dropped already."""
    story: list[Any] = []
    note = slow_notes(story)
    async with tukio.Engine() as engine:
        for topic in "abc":
            engine.broker.register(note, topic)
        for n, topic in enumerate("cabcc"):
            engine.broker.dispatch({"n": n}, topic)
        await anyio.sleep(0.5)
        engine.broker.unregister(note, "a")
        engine.broker.dispatch({"n": 5}, "b")
        engine.broker.dispatch({"n": 6}, "c")
        engine.broker.unregister(note, "b")

    assert story == [0, 3, 4, 6]


@LOOPS
async def test_a_handler_of_every_topic_may_go_on_with_some() -> None:
    """As one that two brokers have, one of which the other takes over, in the loose mode."""
    story: list[Any] = []
    note = notes(story)
    engine = tukio.Engine()
    engine.broker.register(note)
    broker = tukio.get_broker()
    broker.register(note, "a")
    await engine.data_received({"n": 0}, "b")
    broker.unregister(note)
    for topic in "ba":
        await engine.data_received({"n": topic}, topic)
    broker.unregister(note, "a")
    await engine.data_received({"n": 1}, "a")

    assert story == [0, "a"]


class Call:
    """Can be awaited, and is no coroutine."""

    def __init__(self, call: Callable[[], Awaitable[None]]) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, Any, None]:
        return self._call().__await__()


async def test_a_handler_may_return_anything_that_can_be_awaited() -> None:
    """One after the other, as the calls of an async function."""
    story: list[Any] = []
    note = slow_notes(story)

    def handler(event: tukio.Event) -> Call:
        return Call(lambda: note(event))

    async with tukio.Engine() as engine:
        engine.broker.register(handler, "a")
        for n in range(3):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(0.5)
        assert story == []

    assert story == [0, 1, 2]
    assert anyio.current_time() == 3


# Registered anew ----------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
async def test_g8_a_handler_that_is_registered_anew_has_one_call_at_a_time(times: int) -> None:
    """Also if a call of it is in progress, of when it was registered before."""
    story: list[str] = []

    async def slow(event: tukio.Event) -> None:
        story.append(f"begin {event.data['n']}")
        await anyio.sleep(1)
        story.append(f"end {event.data['n']}")

    async with tukio.Engine() as engine:
        engine.broker.register(slow, "a")
        engine.broker.dispatch({"n": 1}, "a")
        await anyio.sleep(0.5)
        for _ in range(times):
            engine.broker.dispatch({"n": 0}, "a")
            engine.broker.unregister(slow, "a")
            engine.broker.register(slow, "a")
            engine.broker.dispatch({"n": 2}, "a")
        engine.broker.dispatch({"n": 3}, "a")
        await anyio.sleep(0.1)
        assert story == ["begin 1"]

    assert story == ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]


async def test_g8_a_handler_that_registers_itself_anew_goes_on_after_its_call() -> None:
    """From within: its call ends first."""
    story: list[str] = []

    async def again(event: tukio.Event) -> None:
        story.append(f"begin {event.data['n']}")
        await anyio.sleep(1)
        if event.data["n"] == 1:
            engine.broker.unregister(again, "a")
            engine.broker.register(again, "a")
            engine.broker.dispatch({"n": 2}, "a")
        await anyio.sleep(1)
        story.append(f"end {event.data['n']}")

    async with tukio.Engine() as engine:
        engine.broker.register(again, "a")
        engine.broker.dispatch({"n": 1}, "a")

    assert story == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_g8_a_handler_that_is_registered_anew_survives_the_end_of_its_call() -> None:
    """By an error, or because it was cut short when the engine was left."""
    story: list[str] = []

    async def fails(event: tukio.Event) -> None:
        story.append(f"begin {event.data['n']}")
        await anyio.sleep(1 if event.data["n"] == 1 else 100)
        raise LookupError

    async with tukio.Engine(cleanup_timeout=5) as engine:
        engine.broker.register(fails, "a")
        engine.broker.dispatch({"n": 1}, "a")
        await anyio.sleep(0.5)
        for n in (2, 3):
            engine.broker.unregister(fails, "a")
            engine.broker.register(fails, "a")
            engine.broker.dispatch({"n": n}, "a")

    assert story == ["begin 1", "begin 3"]
    assert anyio.current_time() == pytest.approx(5.5)
