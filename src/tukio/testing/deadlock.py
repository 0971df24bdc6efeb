"""What virtual time is on every backend: where it begins, and what makes it stand still.

Owns:   the verdict `Deadlock`, the patience of a run with what is on no clock, and the mark by
        which a call from a thread is known as one that the run itself has started.
Knows:  no backend.

Time stands still while a thread is at work that the run has started. It does not while the thread
waits for the loop in turn: for an async function that it has called from there.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

START = 0.0
"""What every clock shows when its run begins. Zero, so that `==` on times stays exact."""

PATIENCE = 10.0
"""Real seconds that a run waits for its threads, unless it is told otherwise."""

NAP = 0.02
"""Real seconds that a run waits, when it has no patience left, or between two looks at sockets."""

started_by: ContextVar[object] = ContextVar("started_by")
"""The loop or the clock of the run that the calling task, or worker thread, belongs to."""


class Deadlock(RuntimeError):
    """Nothing can happen any more, and the test still waits."""


class Patience:
    """How long a run waits, by the real clock, while nothing happens that it can see.

    A run that loses patience with its threads is not torn down at once. For as long again it lets
    time pass, bit by bit, so that a thread that waits for just that can end, and all else as well.
    What the run comes to is the verdict all the same.

    Args:
        limit: Real seconds.

    Attributes:
        verdict: What the run will come to; None if it has not lost patience with threads.
    """

    def __init__(self, limit: float = PATIENCE) -> None:
        self.verdict: Deadlock | None = None
        self._limit: float = limit
        self._since: float = math.nan
        self._ends_at: float = math.inf

    def renew(self) -> None:
        """Learn that something has happened."""
        self._since = math.nan

    def left(self, threads: int) -> float:
        """Return how many real seconds of it are left; none, or less, if it is over.

        Args:
            threads: How many are at work.
        """
        now = time.monotonic()
        if math.isnan(self._since):
            self._since = now
        limit = self._limit if self.verdict is None or not threads else NAP
        return limit - (now - self._since)

    def lose(self, threads: int) -> bool:
        """Give the verdict that threads do not come to an end, and say whether time may pass.

        Args:
            threads: How many are at work.
        """
        now = time.monotonic()
        if self.verdict is None:
            self._ends_at = now + self._limit
            which = "1 thread is" if threads == 1 else f"{threads} threads are"
            self.verdict = Deadlock(
                f"deadlock: time stands still while {which} at work, for {self._limit:g} real"
                " seconds now - a thread must not wait for time to pass, unless through"
                " from_thread; if it only needs longer, give the run more patience"
            )
        return now < self._ends_at

    @contextmanager
    def judged(self) -> Generator[None, None, None]:
        """Run something, and raise the verdict at its end if there is one.

        Raises:
            Deadlock: There is; the cause is what it raised otherwise.
        """
        try:
            yield
        except Exception as error:
            if self.verdict is None:
                raise
            verdict, self.verdict = self.verdict, None
            raise verdict from error
        if self.verdict is not None:
            verdict, self.verdict = self.verdict, None
            raise verdict
