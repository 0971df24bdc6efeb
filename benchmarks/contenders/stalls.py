"""How long a loop stands still while very many workflows are started and cancelled on it."""

from __future__ import annotations

import functools
import gc
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from benchmarks.contenders.bare import let_settle
from benchmarks.meter import Collector, Stopwatch, kibibytes_each, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.meter import Meter, Work

BEAT = 0.001
"""Seconds between two beats of the task that looks for stalls of the loop."""


def without_full_rounds(work: Work) -> Work:
    """Return a work that is done while the garbage collector never looks at all that is alive."""

    @functools.wraps(work)
    async def done(meter: Meter, size: int) -> None:
        usual = gc.get_threshold()
        gc.set_threshold(*usual[:2], 1_000_000_000)
        try:
            await work(meter, size)
        finally:
            gc.set_threshold(*usual)

    return done


async def measure_stalls(
    meter: Meter, size: int, in_flight: AbstractAsyncContextManager[Callable[[], object] | None]
) -> None:
    """Start very many workflows and cancel them, beside a heartbeat.

    Args:
        meter: Gets the figures.
        size: How many.
        in_flight: Starts them, gives what verifies that they wait (None: nothing does), and
            cancels them.
    """
    stalls = Stalls()
    async with anyio.create_task_group() as group, AsyncExitStack() as stack:
        group.start_soon(stalls.beat)
        await anyio.sleep(BEAT * 5)
        before = resident_bytes()
        with Stopwatch() as watch:
            verify = await stack.enter_async_context(in_flight)
        meter.figures["s to send"] = watch.seconds
        with Stopwatch() as watch:
            await let_settle(anyio.lowlevel.checkpoint)
        meter.figures["s until all wait"] = watch.seconds
        meter.figures["KiB each"] = kibibytes_each(before, size)
        await stalls.note(meter, "starting")
        if verify is not None:
            verify()
        with Stopwatch() as watch:
            await stack.aclose()
        meter.figures["s to cancel all"] = watch.seconds
        await stalls.note(meter, "cancelling")
        group.cancel_scope.cancel()


class Stalls:
    """How much later than it asked for the loop came back to a task, at worst."""

    def __init__(self) -> None:
        self._longest = 0.0
        # Without what the garbage collector took, which grows with all that is alive.
        self._longest_of_ours = 0.0

    async def beat(self) -> None:
        """Note it, for as long as nobody cancels this."""
        with Collector() as collector:
            while True:
                before = collector.seconds
                with Stopwatch() as watch:
                    await anyio.sleep(BEAT)
                stall = watch.seconds - BEAT
                self._longest = max(self._longest, stall)
                ours = stall - (collector.seconds - before)
                self._longest_of_ours = max(self._longest_of_ours, ours)

    async def note(self, meter: Meter, what: str) -> None:
        """Note the figures so far, and start over."""
        # The last one is not over until the heartbeat has come back.
        await anyio.sleep(BEAT * 5)
        meter.figures[f"longest stall {what}, s"] = self._longest
        meter.figures[f"the same without the collector, {what}, s"] = self._longest_of_ours
        self._longest = self._longest_of_ours = 0.0
