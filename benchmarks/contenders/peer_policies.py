"""What the peers share beside the cases of policies, maps and children.

A peer says how it runs something once; here it is run many times, and what came out is looked at.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.steps import count, items_of, noop, pause, verify, workflows
from benchmarks.meter import kibibytes_each, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from benchmarks.meter import Meter, Work

Wait = Callable[[], Awaitable[None]]
RunOnce = Callable[[], Awaitable[Any]]
RunItems = Callable[[list[dict[str, int]]], Awaitable[Any]]

ATTEMPTS = 3
DELAY = 1_000
AT_ONCE = 50
TURNS = 50
"""How often others have a turn before what waits is weighed."""


def many(make: Callable[[Wait], RunOnce], expected: object) -> Work:
    """Return a work that runs `size` workflows at once, no step of which suspends."""
    return functools.partial(workflows, make=make, wait=noop, expected=expected)


def of(run: Callable[..., Awaitable[Any]], expected: object, **words: bool) -> Work:
    """Return a work that runs `size` workflows at once by a function of their data.

    Args:
        run: Runs one.
        expected: What each returns.
        words: What else the function is called with.
    """
    return many(lambda _: lambda: run({"value": 0}, **words), expected)


def within(
    around: Callable[[], AbstractContextManager[object]], works: Mapping[str, Work]
) -> dict[str, Work]:
    """Return works that are each done within something of their own: a database, or a server."""
    return {name: functools.partial(_do_within, around, work) for name, work in works.items()}


async def _do_within(
    around: Callable[[], AbstractContextManager[object]], work: Work, meter: Meter, size: int
) -> None:
    with around():
        await work(meter, size)


def maps(make: Callable[[Wait, int | None], RunItems], *, limits: bool = True) -> dict[str, Work]:
    """Return the works that map a step over items, each of which suspends once.

    Args:
        make: Builds, once, what runs a step for each item that it is given: all at once, or so
            many; returns the results in the order of the items.
        limits: Whether the peer can be told how many are at work at once.
    """
    kinds = {"map pause": None, "limited map pause": AT_ONCE}
    return {
        name: functools.partial(items, make=make, at_once=at_once)
        for name, at_once in kinds.items()
        if limits or at_once is None
    }


async def items(meter: Meter, size: int, *, make: Any, at_once: int | None) -> None:
    """Run one workflow over `size` items, and count those."""
    given = items_of(size)
    run_items = make(pause, at_once)
    found: list[Any] = []
    for _ in meter.passes(1, units=size):
        found = await run_items(given)
    verify(done=found == list(map(count, given)), what=found[:3])


class Failing:
    """A step that fails, and counts how often."""

    def __init__(self) -> None:
        self.failures = 0

    def fail(self) -> None:
        """Fail, so that the task waits for its next attempt."""
        self.failures += 1
        raise ConnectionError


def waiting(make: Callable[[Failing], Callable[[], Any]]) -> Work:
    """Return a work that weighs workflows of one task that waits for its next attempt.

    Args:
        make: Builds the workflow, and returns what starts it once, in whatever way others are not
            kept from their turn by it.
    """
    return functools.partial(back_off, make=make)


async def back_off(
    meter: Meter, size: int, *, make: Callable[[Failing], Callable[[], Any]]
) -> None:
    """Start them, weigh them when all have failed, and cancel all that the loop has."""
    failing = Failing()
    start = make(failing)
    idle = asyncio.all_tasks()
    before = resident_bytes()
    started = [start() for _ in range(size)]
    while failing.failures < size:  # noqa: ASYNC110 - an event would weigh on every failure
        await asyncio.sleep(0.01)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    meter.figures["KiB each"] = kibibytes_each(before, size)
    waiting = asyncio.all_tasks() - idle
    meter.figures["tasks of the loop each"] = len(waiting) / size
    verify(done=failing.failures == len(started) and len(waiting) >= size, what=failing.failures)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
