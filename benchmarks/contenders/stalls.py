"""How long a loop stands still while very many workflows are started and cancelled on it."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING

import anyio

from benchmarks.meter import Collector, Stopwatch

if TYPE_CHECKING:
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

    async def warm_up(self) -> None:
        """Let it beat a few times."""
        await anyio.sleep(BEAT * 5)

    async def note(self, meter: Meter, what: str) -> None:
        """Note the figures so far, and start over."""
        # The last one is not over until the heartbeat has come back.
        await anyio.sleep(BEAT * 5)
        meter.figures[f"longest stall {what}, s"] = self._longest
        meter.figures[f"the same without the collector, {what}, s"] = self._longest_of_ours
        self._longest = self._longest_of_ours = 0.0
