"""Who awaits the calls of async handlers: as few tasks as they need, and none that outlives them.

What the handlers get is in test_broker, and in which order in test_subscription; how the engine
waits for them when it is left is in test_stream.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from support.leaks import no_asyncio_errors
from tukio._events.workers import BUDGET, NAME
from tukio.testing.clock import new_loop, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from support.flow import Tasks
    from tukio.testing.loop import VirtualTime

    Handler = Callable[[tukio.Event], Awaitable[None]]

LOOPS = pytest.mark.backends("asyncio", "uvloop")

who: ContextVar[str] = ContextVar("who", default="nobody")


def workers() -> int:
    """Return how many there are."""
    return sum(info.name == NAME for info in anyio.get_running_tasks())


def counting(counts: list[int], seconds: float | None = None) -> Handler:
    """Return a handler that counts the workers, after a while if one is given."""

    async def count(event: tukio.Event) -> None:
        if seconds is not None:
            await anyio.sleep(seconds)
        counts.append(workers())

    return count


# How many -----------------------------------------------------------------------------------------


async def test_handlers_that_do_not_suspend_share_a_worker() -> None:
    """Whoever sends an event in each turn of the loop finds it there; then it goes."""
    counts: list[int] = []
    async with tukio.Engine() as engine:
        for _ in range(10):
            engine.broker.register(counting(counts), "a")
        for _ in range(5):
            engine.broker.dispatch({}, "a")
            engine.broker.dispatch({}, "a")
            assert workers() <= 1
            await anyio.lowlevel.checkpoint()
        await settle()
        assert workers() == 0

    assert counts == [1] * 100


async def test_each_call_that_waits_keeps_a_worker() -> None:
    """And one more takes the rest; a handler has one call at a time."""
    counts: list[int] = []
    async with tukio.Engine() as engine:
        for n in range(10):
            engine.broker.register(counting(counts, None if n % 2 else 1), "a")
        for _ in range(3):
            engine.broker.dispatch({}, "a")
        await anyio.sleep(0.5)
        assert workers() == 5
        assert len(counts) == 15

    assert len(counts) == 30
    assert max(counts) <= 6
    assert anyio.current_time() == 3


async def test_a_handler_hears_of_its_own_event_after_the_call() -> None:
    """Nobody is started for it: who is at it will be free, or somebody else is."""
    story: list[tuple[str, int]] = []

    def note(name: str) -> Handler:
        async def echo(event: tukio.Event) -> None:
            n = event.data["n"]
            story.append((name, n))
            if n < 2 and name == "first":
                engine.broker.dispatch({"n": n + 1}, "a")
            story.append((name, -n))
            assert workers() == 1

        return echo

    async with tukio.Engine() as engine:
        for name in ("first", "second"):
            engine.broker.register(note(name), "a")
        engine.broker.dispatch({"n": 1}, "a")

    assert story == [
        *[("first", 1), ("first", -1), ("second", 1), ("second", -1)],
        *[("first", 2), ("first", -2), ("second", 2), ("second", -2)],
    ]


async def test_many_calls_in_a_row_let_others_have_a_turn() -> None:
    """However many wait."""
    turns = calls = 0

    async def count(event: tukio.Event) -> None:
        nonlocal calls
        calls += 1

    async with tukio.Engine() as engine:
        engine.broker.register(count, "a")
        for _ in range(10 * BUDGET):
            engine.broker.dispatch({}, "a")
        while calls < 10 * BUDGET:
            turns += 1
            await anyio.lowlevel.checkpoint()

    assert turns >= 10


async def test_handlers_that_never_suspend_do_not_keep_the_engine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not even those who keep each other busy for ever."""

    async def ping_pong(event: tukio.Event) -> None:
        engine.broker.dispatch(event, "a")

    async with tukio.Engine() as engine:
        engine.broker.register(ping_pong, "a")
        engine.broker.dispatch({}, "a")
        await anyio.lowlevel.checkpoint()
        await engine.broker.close(0)

    (record,) = caplog.records
    assert "was cut short: 1 event lost" in record.getMessage()


# Where they run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_call_runs_in_a_copy_of_the_sender_s_context(task: Tasks, seconds: float) -> None:
    """Of that when it was dispatched; nothing that it sets reaches anybody else."""
    story: list[Any] = []

    async def note(event: tukio.Event) -> None:
        sender = who.get()
        who.set("handler")
        if seconds:
            await anyio.sleep(seconds)
        story.append((sender, who.get(), tukio.current_task().template.uid))

    @task
    async def a(event: tukio.Event) -> None:
        who.set("a")
        engine.broker.dispatch({}, "topic")
        who.set("a later")
        engine.broker.dispatch({}, "topic")

    @task
    async def b(event: tukio.Event) -> None:
        engine.broker.dispatch({}, "topic")
        await settle()
        assert who.get() == "nobody"

    async with tukio.Engine() as engine:
        engine.broker.register(note, "topic")
        await engine.run_once(flow("a b"), {})

    assert story == [
        *[("a", "handler", "a"), ("a later", "handler", "a")],
        ("nobody", "handler", "b"),
    ]


# Native cancellations -----------------------------------------------------------------------------


@LOOPS
@pytest.mark.parametrize("then", ["returns", "waits", "swallows"])
async def test_a_handler_that_cancels_its_own_task_harms_nobody(task: Tasks, then: str) -> None:
    """Neither the engine and its runs, nor handlers that the same worker would have called."""
    story: list[Any] = []

    async def bad(event: tukio.Event) -> None:
        story.append("bad")
        own: Any = asyncio.current_task()
        own.cancel()
        if then == "waits":
            await asyncio.sleep(1)
        elif then == "swallows":
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    async def good(event: tukio.Event) -> None:
        await anyio.sleep(1)
        story.append(event.data["n"])

    @task
    async def a(event: tukio.Event) -> None:
        await anyio.sleep(5)

    async with tukio.Engine() as engine:
        for handler in (bad, good):
            engine.broker.register(handler, "a")
        run: Any = await engine.run_once(flow("a"), {})
        for n in range(2):
            engine.broker.dispatch({"n": n}, "a")
        assert await run.wait() is tukio.FutureState.finished

    assert [word for word in story if word != "bad"] == [0, 1]
    assert story.count("bad") == 2


@LOOPS
@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_call_that_is_cancelled_from_outside_is_all_that_is_lost(
    caplog: pytest.LogCaptureFixture, waiting: int
) -> None:
    """Its handler gets what waits for it, in order, and whatever is sent later."""
    begun: list[int] = []
    ended: list[int] = []
    calls: list[asyncio.Task[Any] | None] = []

    async def note(event: tukio.Event) -> None:
        calls.append(asyncio.current_task())
        begun.append(event.data["n"])
        await asyncio.sleep(1)
        ended.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
        for n in range(1 + waiting):
            engine.broker.dispatch({"n": n}, "a")
        await settle()
        (call,) = calls
        assert call is not None
        call.cancel()
        await settle()
        assert workers() == min(waiting, 1)
        engine.broker.dispatch({"n": 3}, "a")

    assert begun == [0, *range(1, 1 + waiting), 3]
    assert ended == begun[1:]
    (record,) = caplog.records
    assert record.getMessage().endswith("was cut short: 1 event lost")


@LOOPS
@pytest.mark.parametrize("turns", range(4))
async def test_a_worker_that_is_cancelled_from_outside_takes_nothing_with_it(turns: int) -> None:
    """At whatever it is: not begun, waiting for more, or in a call, which is all that is lost."""
    story: list[int] = []

    async def note(event: tukio.Event) -> None:
        story.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(note, "a")
        engine.broker.dispatch({"n": 0}, "a")
        for _ in range(turns):
            await asyncio.sleep(0)
        for other in asyncio.all_tasks():
            if other.get_name() == NAME:
                other.cancel()
        await settle()
        engine.broker.dispatch({"n": 1}, "a")
        await settle()

    assert story == [0, 1]


@pytest.fixture
def loop(backend: str) -> Iterator[VirtualTime]:
    """Give a loop that the test drives itself."""
    with no_asyncio_errors():
        loop = new_loop(backend)
        yield loop
        loop.close()


@LOOPS
def test_all_tasks_of_a_loop_may_be_cancelled(loop: VirtualTime) -> None:
    """As programs do that end their own way; what is sent afterwards is heard as before."""
    story: list[int] = []

    async def note(event: tukio.Event) -> None:
        story.append(event.data["n"])

    async def send(n: int) -> None:
        tukio.get_broker().dispatch({"n": n}, "a")

    async def cancel_all() -> None:
        await send(0)
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        await asyncio.sleep(0)

    tukio.get_broker(loop).register(note, "a")
    loop.run_until_complete(cancel_all())
    loop.run_until_complete(send(1))
    loop.run_until_complete(asyncio.sleep(1))

    assert story == [0, 1]


@LOOPS
@pytest.mark.parametrize("early", [False, True])
def test_a_program_in_the_loose_mode_may_end_with_its_run(
    loop: VirtualTime, task: Tasks, early: bool
) -> None:
    """A handler that hears of the end, and does not suspend, leaves no worker to asyncio."""
    story: list[str] = []

    async def note(event: tukio.Event) -> None:
        story.append(event.data["type"])

    @task
    async def a(event: tukio.Event) -> None:
        await asyncio.sleep(1)

    engine = tukio.Engine() if early else tukio.Engine(loop=loop)
    # Early, it is not known yet where the engine runs.
    engine.broker.register(note, tukio.EXEC_TOPIC)
    run: Any = loop.run_until_complete(engine.run_once(flow("a"), {}))
    loop.run_until_complete(run)

    assert story[-1] == "workflow-end"
    assert not asyncio.all_tasks(loop)


# The end ------------------------------------------------------------------------------------------


async def test_a_call_in_progress_of_one_who_was_unregistered_is_bounded() -> None:
    """The engine waits for it, as long as for any other."""

    async def hangs(event: tukio.Event) -> None:
        await anyio.sleep_forever()

    async with tukio.Engine(cleanup_timeout=1) as engine:
        engine.broker.register(hangs, "a")
        engine.broker.dispatch({}, "a")
        await settle()
        engine.broker.unregister(hangs, "a")

    assert anyio.current_time() == 1


@pytest.mark.parametrize("seconds", [0.4, math.inf])
async def test_what_is_due_when_time_is_up_is_named(
    caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    """A handler that hangs is one line, whoever waits behind it another."""

    async def hangs(event: tukio.Event) -> None:
        await anyio.sleep(seconds)

    async def blocks(event: tukio.Event) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2)

    async with tukio.Engine(cleanup_timeout=1) as engine:
        for handler in (hangs, blocks):
            engine.broker.register(handler, "a")
        for _ in range(3):
            engine.broker.dispatch({}, "a")

    lost = [record.getMessage().partition("was cut short: ")[2] for record in caplog.records]
    assert lost == ["1 event lost" if seconds < 1 else "3 events lost", "2 events lost"]
    assert anyio.current_time() == 2


async def test_what_was_dropped_with_its_topic_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only what the handler would still have got is named: one in progress, and three that wait."""

    async def hangs(event: tukio.Event) -> None:
        await anyio.sleep_forever()

    async with tukio.Engine(cleanup_timeout=1) as engine:
        for topic in "ab":
            engine.broker.register(hangs, topic)
        for topic in "baabbb":
            engine.broker.dispatch({}, topic)
        await settle()
        engine.broker.unregister(hangs, "a")

    [record] = caplog.records
    assert record.getMessage().endswith("was cut short: 4 events lost")
