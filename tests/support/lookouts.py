"""A lookout that is quick: a second is a fraction of one."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from tukio._loop import lookout

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

QUICK = 0.02
"""Real seconds between two looks; a step is told of after four, and some."""

SECOND = lookout.LOOKS * QUICK
"""The second of such a lookout."""

LIMIT = 20
"""Real seconds after which a test can only be stuck."""


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Let the lookout look often."""
    patch.setattr(lookout, "PERIOD", QUICK)


def hold_until(condition: Callable[[], object], limit: float = LIMIT) -> None:
    """Hold the calling thread until something is true.

    Raises:
        AssertionError: It takes too long.
    """
    over = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < over
        time.sleep(0.001)


def hold_for(seconds: float) -> None:
    """Hold the calling thread for some real seconds."""
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        time.sleep(0.001)


def threads() -> list[threading.Thread]:
    """Return the threads of lookouts."""
    return [thread for thread in threading.enumerate() if thread.name == lookout.NAME]


class Told(logging.Handler):
    """Collects what the lookout tells, from its own thread, for as long as a test goes on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__(logging.INFO)
        self.records: list[Any] = []
        log = logging.getLogger("tukio.watchdog")
        patch.setattr(log, "handlers", [*log.handlers, self])
        patch.setattr(log, "level", logging.INFO)
        # As `setLevel` does: the levels of loggers are remembered.
        manager: Any = logging.root.manager
        manager._clear_cache()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def of(self, level: int) -> list[Any]:
        """Return the records of a level."""
        return [record for record in self.records if record.levelno == level]

    @property
    def warnings(self) -> list[Any]:
        """Those that name somebody."""
        return self.of(logging.WARNING)

    @property
    def ends(self) -> list[Any]:
        """Those that tell of an end."""
        return self.of(logging.INFO)


async def turns_until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is true in real time."""
    over = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < over
        await anyio.lowlevel.checkpoint()
