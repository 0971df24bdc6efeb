"""G7, and G9: what an async handler leaves behind stays with its call, and it is named."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tukio
from support.half_read import close, group_of, half_read, half_read_at_once, limit_of
from support.silence import silence
from tukio._model.guard import program_end
from tukio.testing.clock import BACKENDS, is_available, run

if TYPE_CHECKING:
    from support.half_read import Opened

on_asyncio = pytest.mark.backends("asyncio", "uvloop")


def leaky(
    opened: Opened,
    kept: list[Any],
    seconds: float,
    then: float | None = -1,
) -> Any:
    """Return a handler that reads a generator by half, after a while, and may go on then.

    Args:
        opened: What is around the `yield` of the generator.
        kept: Where the generator is kept.
        seconds: How long the handler waits before.
        then: How long it waits afterwards; at -1 not at all, at None it ends the program.
    """

    async def reads(event: tukio.Event) -> None:
        if seconds:
            await anyio.sleep(seconds)
        kept.append(await half_read(opened))
        if then is None:
            raise SystemExit
        if then >= 0:
            await anyio.sleep(then)

    return reads


@pytest.mark.parametrize("seconds", [0, 1], ids=["at once", "suspended"])
@pytest.mark.parametrize("kind", ["limit", "group"])
async def test_g9_what_a_handler_leaves_open_cuts_no_other_handler(
    caplog: pytest.LogCaptureFixture, kind: str, seconds: float
) -> None:
    """Half-read generators are the usual reason; the handler is named in the log."""
    kept: list[Any] = []
    heard: list[int] = []
    over_at: list[float] = []
    reads = leaky(limit_of(1) if kind == "limit" else group_of(over_at), kept, seconds)

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(3)
        heard.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(reads, "a")
        engine.broker.register(slow, "a")
        for n in range(2):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(10)
        assert heard == [0, 1]
        engine.broker.dispatch({"n": 2}, "a")
        await anyio.sleep(5)
    assert heard == [0, 1, 2]
    named = [
        record for record in caplog.records if "has left a cancel scope" in record.getMessage()
    ]
    assert len(named) == len(kept) == 3
    assert all("reads" in record.getMessage() for record in named)
    if kind == "group":
        # It does not go on without it.
        assert over_at == [seconds, 2 * seconds, 10 + seconds]
    caplog.clear()
    await close(*kept)


@on_asyncio
@pytest.mark.parametrize("seconds", [0, 0.5], ids=["at once", "suspended"])
async def test_g9_a_native_limit_that_a_handler_leaves_open_cuts_no_other_handler(
    seconds: float,
) -> None:
    """Its timer cancels the task that the call was made on, whatever that does by then."""
    kept: list[Any] = []
    heard: list[int] = []

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(3)
        heard.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(leaky(lambda: asyncio.timeout(1), kept, seconds), "a")
        engine.broker.register(slow, "a")
        for n in range(2):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(10)
    assert heard == [0, 1]
    await close(*kept)


async def test_g9_what_a_handler_leaves_open_does_not_keep_the_engine() -> None:
    """The block is left as ever."""
    kept: list[Any] = []
    async with tukio.Engine() as engine:
        engine.broker.register(leaky(group_of([]), kept, 1), "a")
        engine.broker.dispatch({}, "a")
    assert anyio.current_time() == 1
    await close(*kept)


@pytest.mark.parametrize("kind", ["limit", "group"])
@pytest.mark.parametrize("by", ["time", "scope"])
async def test_g1_a_handler_that_is_cut_with_something_open_is_named(
    caplog: pytest.LogCaptureFixture, kind: str, by: str
) -> None:
    """The engine is left in order, and nothing goes on."""
    kept: list[Any] = []
    over_at: list[float] = []
    reads = leaky(limit_of(1000) if kind == "limit" else group_of(over_at), kept, 0, then=100)

    with anyio.CancelScope() as scope:
        async with tukio.Engine(cleanup_timeout=1) as engine:
            engine.broker.register(reads, "a")
            engine.broker.dispatch({}, "a")
            await anyio.sleep(1)
            if by == "scope":
                scope.cancel()
    assert anyio.current_time() == 2
    assert [text for text in caplog.messages if "has left a cancel scope" in text]
    assert over_at == ([2] if kind == "group" else [])
    caplog.clear()
    await close(*kept)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if is_available(name)])
def test_g7_a_handler_ends_the_program_with_something_open(backend: str) -> None:
    """That counts, and not what it has left."""
    kept: list[Any] = []

    async def program() -> None:
        async with tukio.Engine() as engine:
            engine.broker.register(leaky(limit_of(1000), kept, 1, then=None), "a")
            engine.broker.dispatch({}, "a")
            await anyio.sleep(10)

    with silence(), pytest.raises(BaseException) as caught:
        run(program, backend=backend)
    assert isinstance(program_end(caught.value), SystemExit)


async def test_g9_what_a_handler_that_awaits_nothing_leaves_open_cuts_no_other() -> None:
    """Generators that are not async may have a scope around their `yield`, too."""
    kept: list[Any] = []
    heard: list[int] = []

    async def prompt(event: tukio.Event) -> None:
        kept.append(half_read_at_once())

    async def slow(event: tukio.Event) -> None:
        await anyio.sleep(3)
        heard.append(event.data["n"])

    async with tukio.Engine() as engine:
        engine.broker.register(prompt, "a")
        engine.broker.register(slow, "a")
        for n in range(2):
            engine.broker.dispatch({"n": n}, "a")
        await anyio.sleep(10)
    assert heard == [0, 1]
    for one in kept:
        with suppress(RuntimeError):
            one.close()


async def test_g9_nobody_waits_for_what_a_handler_has_left() -> None:
    """Tasks that take their time to end delay no other handler, and are over before the engine."""
    kept: list[Any] = []
    heard: list[float] = []
    over_at: list[float] = []
    reads = leaky(group_of(over_at, lingers=2), kept, 0, then=0)

    async def note(event: tukio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(anyio.current_time())

    async with tukio.Engine() as engine:
        engine.broker.register(reads, "a")
        engine.broker.register(note, "a")
        engine.broker.register(note, "b")
        engine.broker.dispatch({}, "a")
        await anyio.sleep(1)
        engine.broker.dispatch({}, "b")
    assert heard == [0, 1]
    assert over_at == [2]
    assert anyio.current_time() == 2
    await close(*kept)
