"""The work of a step, and the works of a peer: the DAG of the README in two kinds."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.meter import Meter, Work

    RunOnce = Callable[[], Awaitable[Any]]

Data = dict[str, int]


def count(data: Data) -> Data:
    """Be the work of a step."""
    return {"value": data["value"] + 1}


def items_of(size: int) -> list[Data]:
    """Return `size` items to map over, no two of which are equal."""
    return [{"value": place} for place in range(size)]


async def noop() -> None:
    """Do not suspend."""


async def pause() -> None:
    """Let others run once."""
    await asyncio.sleep(0)


def peer_works(
    make: Callable[[Callable[[], Awaitable[None]]], RunOnce], expected: object
) -> dict[str, Work]:
    """Return the works of a peer.

    Args:
        make: Builds the DAG once, with steps that await what it is given, and returns what runs
            one workflow of it.
        expected: What a workflow returns if all its steps ran.
    """
    return {
        "noop": functools.partial(workflows, make=make, wait=noop, expected=expected),
        "pause": functools.partial(workflows, make=make, wait=pause, expected=expected),
    }


async def workflows(meter: Meter, size: int, *, make: Any, wait: Any, expected: object) -> None:
    """Run the DAG `size` times at once."""
    run_once = make(wait)
    found: list[Any] = []
    for number in meter.passes(size):
        found = await asyncio.gather(*[run_once() for _ in range(number)])
    verify(done=found == [expected] * size, what=found[:1])


def verify(*, done: bool, what: object) -> None:
    """Refuse a measure of work that was not done.

    Raises:
        WorkNotDone: The claim is not true.
    """
    if not done:
        raise WorkNotDone(repr(what))


class WorkNotDone(Exception):
    """A contender was quick because it did not do the work."""
