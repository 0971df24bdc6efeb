"""Virtual time, shared by all backends: its start, and how a deadlock is detected.

Owns:   the exception `Deadlock`, the patience of a run with threads and sockets, and the mark of
        threads that the run itself has started.
Knows:  no backend; what the runs wait for, by `waiting`.

Time stands still while a thread is at work that the run has started. Time passes while such a
thread waits for the loop in turn, that is, for an async function that it has called by
`from_thread`.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .waiting import who_waits

if TYPE_CHECKING:
    from collections.abc import Generator

START = 0.0
"""The time of every clock when its run begins. Zero, so that `==` on times stays exact."""

PATIENCE = 10.0
"""Real seconds that a run waits for its threads, by default."""

NAP = 0.02
"""Real seconds between two looks at sockets, and the patience of a run that has lost it before."""

started_by: ContextVar[object] = ContextVar("started_by")
"""The loop or the clock of the run that the calling task or worker thread belongs to."""


class Deadlock(RuntimeError):
    """Nothing can happen any more, and the test still waits.

    The message names each step of a workflow that waits, with its run and its place, and each run
    that is suspended or has to wait for its turn.
    """


class Patience:
    """The real time that a run waits while nothing happens that the run can see.

    A run that loses patience with its threads is not ended at once. For the same time again it lets
    virtual time pass, bit by bit, so that a thread that waits for time to pass can end, and so can
    everything else. The run ends with the verdict all the same.

    Args:
        limit: Real seconds.

    Attributes:
        verdict: The exception that the run will end with; None while it has not lost patience with
            threads. Set by `lose`, and taken by `judged`.
    """

    def __init__(self, limit: float = PATIENCE) -> None:
        self.verdict: Deadlock | None = None
        self._limit: float = limit
        # The real time of the first look at which nothing had happened; NaN while there was none.
        self._since: float = math.nan
        # The real time from which on virtual time may not pass any more; set with the verdict.
        self._ends_at: float = math.inf

    def renew(self) -> None:
        """Called when something has happened: the patience begins anew."""
        self._since = math.nan

    def left(self, threads: int) -> float:
        """Return the real seconds of patience that are left; zero or less if it is over.

        Args:
            threads: The number of threads at work.
        """
        now = time.monotonic()
        if math.isnan(self._since):
            self._since = now
        limit = self._limit if self.verdict is None or not threads else NAP
        return limit - (now - self._since)

    def lose(self, threads: int) -> bool:
        """Set the verdict that threads do not end, and return whether virtual time may pass.

        Args:
            threads: The number of threads at work.
        """
        now = time.monotonic()
        if self.verdict is None:
            self._ends_at = now + self._limit
            which = "1 thread is" if threads == 1 else f"{threads} threads are"
            self.verdict = Deadlock(
                f"deadlock: time stands still while {which} at work, for {self._limit:g} real"
                " seconds now - a thread must not wait for time to pass, unless through"
                " from_thread; if it only needs longer, give the run more patience" + who_waits()
            )
        return now < self._ends_at

    @contextmanager
    def judged(self) -> Generator[None, None, None]:
        """Run a `with` block, and raise the verdict at its end if there is one.

        Raises:
            Deadlock: There is a verdict. The cause is the exception of the block, if any.
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
