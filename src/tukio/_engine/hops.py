"""The loop guard: how many runs have led to data, each started by a task of the one before.

Owns:   the largest number of them.

Two workflows that start each other by their data would go on for ever, and fill the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._loop.surroundings import surroundings
from .._model.event import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_HOPS: Final = 64
"""The largest number of runs that may have led to data which starts one more."""


def received(data: Mapping[str, Any] | Event, topic: str | None = None) -> Event:
    """Return data as an event, which counts the runs that have led to it.

    Code that runs in a task, or in a handler of what a task has sent, sends for its run.

    Args:
        data: A dict or an event; it is copied, one level deep.
        topic: The topic of the data.

    Raises:
        ValueError: `data` is neither a dict nor an Event.
    """
    event = Event(data, topic)
    around = surroundings.get(None)
    if around is not None:
        trigger = around[0].run._trigger
        led = trigger.hops if type(trigger) is Event else 0
        event._hops = max(event._hops, led + 1)
    return event
