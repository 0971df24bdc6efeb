"""The clock and the scales of one measuring process; runs on every Python a contender needs."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Self

    Work = Callable[["Meter", int], Coroutine[Any, Any, None]]

ENOUGH_SECONDS = 0.6
"""Passes are repeated until they took this long together.

With 1,000 workflows at once the collector takes a full round every few passes, which costs half as
much as a pass: one pass alone would measure whether it happened to come.
"""

WARM_UP_SIZE = 100
"""How much of the work is done once, unmeasured, before the first pass."""

MOST_PASSES = 5_000


class NotAvailable(Exception):
    """What a work needs is not there; the text says what."""


class Meter:
    """Takes the time and the other figures of one work.

    Args:
        enough: Seconds that the measured passes take together, at least.

    Attributes:
        cpu: Seconds of processor time of all measured passes.
        wall: Seconds of all measured passes by the clock on the wall.
        units: How often the unit of the case was done in them.
        figures: Whatever else was measured, by name, with its unit in the name.
    """

    def __init__(self, enough: float = ENOUGH_SECONDS) -> None:
        self.cpu: float = 0.0
        self.wall: float = 0.0
        self.units: int = 0
        self.figures: dict[str, float] = {}
        self._enough = enough

    def passes(self, size: int, *, units: int | None = None) -> Iterator[int]:
        """Yield how much to do: a little to warm up, then `size` as often as it takes.

        The garbage collector stays as users have it; it only starts from a clean slate.

        Args:
            size: How many to do at once.
            units: How many units of the case that is; None is `size`.
        """
        yield min(size, WARM_UP_SIZE)
        gc.collect()
        done = 0
        while not done or (self.wall < self._enough and done < MOST_PASSES):
            wall, cpu = time.perf_counter(), time.process_time()
            yield size
            self.cpu += time.process_time() - cpu
            self.wall += time.perf_counter() - wall
            self.units += size if units is None else units
            done += 1


class Stopwatch:
    """Seconds by the clock on the wall, from `with` to its end."""

    seconds: float = 0.0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


class Collector:
    """Seconds that the garbage collector has taken, within `with`; everything waits for it."""

    seconds: float = 0.0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        gc.callbacks.append(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._hear)

    def _hear(self, phase: str, _: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "stop":
            self.seconds += now - self._start
        self._start = now


def resident_bytes() -> int:
    """Return the memory this process holds now.

    Where the system does not say (it is asked the Linux way), it is the most it ever held.
    """
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - no allocation before it
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def kibibytes_each(before: int, size: int) -> float:
    """Return the memory per item that came since `before`, in KiB."""
    return (resident_bytes() - before) / 1024 / size
