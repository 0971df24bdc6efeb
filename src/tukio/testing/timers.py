"""The timers of an event loop in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Timer(NamedTuple):
    """A timer that is set; the least of several timers is the next one.

    Attributes:
        when: The virtual time that the timer is set to.
        tie: The rank of the timer among those of the same instant.
        number: The number of the timer, in the order in which timers were set.
        handle: The handle by which the timer can be cancelled.
        queue: Queues the callback of the timer.
    """

    when: float
    tie: float
    number: int
    handle: asyncio.TimerHandle
    queue: Callable[[], object]
