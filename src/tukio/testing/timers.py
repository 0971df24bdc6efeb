"""The timers of an event loop in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Timer(NamedTuple):
    """A timer that is set; the least is the next one.

    Attributes:
        when: The virtual time it is set to.
        tie: Its rank among those of the same instant.
        number: Its number, in the order in which they were set.
        handle: What can cancel it.
        queue: Queues its callback.
    """

    when: float
    tie: float
    number: int
    handle: asyncio.TimerHandle
    queue: Callable[[], object]
