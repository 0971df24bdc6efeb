"""Ways to enter an engine that do not work say what does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import tukio


async def test_f17_an_engine_that_was_left_is_over() -> None:
    """It is not in use, but cannot be used again, either."""
    engine = tukio.Engine()
    async with engine:
        with pytest.raises(tukio.EngineError, match="is in use already - make a new one"):
            await engine.__aenter__()
    with pytest.raises(tukio.EngineError, match="was entered before, and is over - make a new one"):
        await engine.__aenter__()


@pytest.mark.backends("asyncio", "uvloop")
async def test_f17_an_engine_that_was_used_loosely_cannot_be_entered() -> None:
    """Its runs are roots by then."""
    for engine in (tukio.Engine(), tukio.Engine(loop=asyncio.get_running_loop())):
        await engine.data_received({})
        with pytest.raises(tukio.EngineError, match="without a block before, as in 1"):
            await engine.__aenter__()
        await engine.stop()


async def test_f17_with_in_place_of_async_with_is_refused_with_the_way_out() -> None:
    """The engine can be entered after that as if nothing had happened."""
    engine: Any = tukio.Engine()
    with pytest.raises(tukio.EngineError, match=r"async with tukio.Engine\(\) as engine"), engine:
        pass
    with contextlib.ExitStack() as stack, pytest.raises(tukio.EngineError):
        stack.enter_context(engine)
    async with contextlib.AsyncExitStack() as stack:
        assert await stack.enter_async_context(engine) is engine


def test_f17_with_is_refused_where_no_loop_runs() -> None:
    """In the main program, as by a newcomer."""
    engine: Any = tukio.Engine()
    with pytest.raises(tukio.EngineError, match="async with"), engine:
        pass
