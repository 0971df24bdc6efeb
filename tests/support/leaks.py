"""Nothing outlives a test: no task, no timer, no error that nobody saw.

Owns:   the comparison of what was alive before a test with what is alive after it, and the
        capture of what asyncio can only report to its log.
Knows:  the tasks of asyncio and trio, and the timers of the virtual loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio.lowlevel
import trio

from tukio.testing.loop import VirtualTime
from tukio.testing.trio import all_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

TURNS = 5
"""How often the loop turns before the search, so that what is ending can end."""


class Leak(AssertionError):
    """A test has left something behind."""


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.messages.append(f"{record.getMessage()} ({error!r})")


@contextmanager
def no_asyncio_errors() -> Generator[None, None, None]:
    """Fail if asyncio logs an error meanwhile, or when garbage is collected at the end.

    An event loop has no caller to raise to: an exception in a callback, a failed task that nobody
    awaited, a pending task that was destroyed all go to its exception handler, hence to the log.

    The collection also reveals coroutines that were never awaited, within the guilty test.

    Raises:
        Leak: Something was logged. Not raised over an exception of the body, whose report shows
            the log anyway.
    """
    log, collector = logging.getLogger("asyncio"), _Collector()
    log.addHandler(collector)
    try:
        yield
        gc.collect()
    finally:
        log.removeHandler(collector)
    if collector.messages:
        raise Leak("asyncio reports: " + "; ".join(collector.messages))


@asynccontextmanager
async def no_leaks() -> AsyncGenerator[None, None]:
    """Fail if tasks or timers are alive at the end that were not at the start.

    Raises:
        Leak: There are; the message has their names. They are still alive, for the caller to
            stop. Not raised over an exception of the body.
    """
    before = _alive()
    yield
    for _ in range(TURNS):
        await anyio.lowlevel.checkpoint()
    leaked = [what for thing, what in _alive().items() if thing not in before]
    if leaked:
        raise Leak("left behind: " + "; ".join(sorted(leaked)))


def _alive() -> dict[object, str]:
    """Return all that is alive in this run, each with its description."""
    if trio.lowlevel.in_trio_run():
        return {task: f"task {task.name!r}" for task in all_tasks()}
    alive: dict[object, str] = {
        task: f"task {task.get_name()!r}, {task.get_coro()!r}" for task in asyncio.all_tasks()
    }
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTime):
        alive |= {_Same(timer): f"timer {timer!r}" for timer in loop.live_timers()}
    return alive


class _Same:
    """A key that stands for one object: equal timers are not the same timer."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)
