"""Data that comes in bursts: the loop does not stand still for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest

import tukio
from support.flow import flow
from tukio._loop.turns import BURST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support.flow import Tasks

    Send = Callable[[tukio.Engine, int], Awaitable[Any]]


@pytest.fixture
def begun(task: Tasks) -> list[int]:
    """Register a task that notes that it has begun."""
    found: list[int] = []

    @task
    async def note(event: tukio.Event) -> None:
        found.append(event.data["n"])
        await anyio.sleep(1)

    return found


SENDERS: dict[str, Send] = {
    "data_received": lambda engine, n: engine.data_received({"n": n}, "t"),
    "trigger": lambda engine, n: engine.trigger("flow", {"n": n}),
    "run_once": lambda engine, n: engine.run_once(flow("note"), {"n": n}),
}
every_sender = pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)


@every_sender
async def test_a_burst_of_data_lets_what_it_started_begin(begun: list[int], send: Send) -> None:
    """However much is sent in a row, few runs wait for the sender to pause.

    On trio the sender may have its turn before those it has just started have theirs.
    """
    async with tukio.Engine() as engine:
        await engine.load(flow("note", topics=["t"]))
        waiting = []
        for sent in range(1, BURST * 5):
            await send(engine, sent)
            waiting.append(sent - len(begun))
        assert BURST <= max(waiting) <= BURST * 2


@every_sender
async def test_but_for_these_turns_a_call_ends_at_once(begun: list[int], send: Send) -> None:
    """A selector that does not wait needs no lock, and nobody else has a turn."""
    async with tukio.Engine() as engine:
        await engine.load(flow("note", topics=["t"]))
        for n in range(BURST - 1):
            with pytest.raises(StopIteration):
                cast("Any", send(engine, n)).send(None)
    assert sorted(begun) == list(range(BURST - 1))


@every_sender
async def test_a_sender_cancelled_in_a_burst_has_sent_nothing_of_that_call(
    begun: list[int], send: Send
) -> None:
    """It waits before it does anything: what was started stays, and nothing is half done."""
    heard: list[int] = []
    async with tukio.Engine() as engine:
        await engine.load(flow("note", topics=["t"]))
        engine.broker.register(lambda event: heard.append(event.data["n"]), "t")
        sent = []
        with anyio.CancelScope() as scope:
            scope.cancel()
            for n in range(BURST * 2):
                await send(engine, n)
                sent.append(n)
        assert scope.cancelled_caught
        assert sent == list(range(BURST - 1))
        assert len(engine.instances) == len(sent)
        assert heard in (sent, [])
    assert sorted(begun) == sent
