"""A stream that is entered again, or cannot be read: it works, or it says so.

Silence looks like an empty topic.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest

import tukio
from tukio.testing.clock import settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOPS = pytest.mark.backends("asyncio", "uvloop")


def send(engine: tukio.Engine, n: int) -> None:
    """Dispatch a number."""
    engine.broker.dispatch({"n": n}, "a")


async def take(events: AsyncIterator[tukio.Event], count: int) -> list[int]:
    """Return the numbers of the next events."""
    return [(await anext(events)).data["n"] for _ in range(count)]


async def rest(events: AsyncIterator[tukio.Event]) -> list[int]:
    """Return the numbers of all events until the end."""
    return [event.data["n"] async for event in events]


async def test_a_stream_may_be_entered_again() -> None:
    """It goes on with what is sent then; what it missed in between is not there."""
    async with tukio.Engine() as engine:
        events = engine.subscribe("a")
        async with events:
            send(engine, 1)
        send(engine, 2)
        async with events:
            send(engine, 3)
            assert await take(events, 2) == [1, 3]
            async with anyio.create_task_group() as group:
                group.start_soon(take, events, 1)
                await settle()
                send(engine, 4)
        assert await rest(events) == []
        async with events:
            send(engine, 5)
    assert await rest(events) == [5]
    async with events:
        assert await rest(events) == []


async def test_a_stream_is_not_entered_twice_at_once() -> None:
    """The first block to be left would end the other one."""
    async with tukio.Engine() as engine, engine.subscribe("a") as events:
        with pytest.raises(tukio.EngineError, match="entered already"):
            await events.__aenter__()
        send(engine, 1)
        assert await take(events, 1) == [1]


async def test_a_stream_that_was_never_entered_says_so() -> None:
    """Nothing would ever come; also of an engine that is over."""
    async with tukio.Engine() as engine:
        events = engine.subscribe("a")
        send(engine, 1)
        with pytest.raises(tukio.EngineError, match="before the stream is entered"):
            await anext(events)
    with pytest.raises(tukio.EngineError, match="before the stream is entered"):
        await anext(events)
    async with events:
        assert await rest(events) == []


@LOOPS
async def test_a_stream_of_a_loose_engine_that_is_over_ends_at_once() -> None:
    """Whether it was there before, or is taken only then; the broker goes on for others."""
    engine = tukio.Engine(loop=asyncio.get_running_loop())
    before = engine.subscribe("a")
    await engine.stop()
    for events in (before, engine.subscribe("a")):
        async with events:
            send(engine, 1)
            assert await rest(events) == []
