"""How often the event loop turns: whether something that only waits really does.

Owns:   the count of what the loop is given to do, on every backend.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trio
import trio.abc

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns(trio.abc.Instrument):
    """Counts the callbacks that asyncio queues, or the steps of trio's tasks.

    Attributes:
        count: How many there were so far.
    """

    def __init__(self) -> None:
        self.count: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count a step; trio calls this."""
        self.count += 1


@contextmanager
def counted_turns() -> Iterator[Turns]:
    """Count what the running loop is given to do, until the block is left."""
    turns = Turns()
    if trio.lowlevel.in_trio_run():
        trio.lowlevel.add_instrument(turns)
        yield turns
        trio.lowlevel.remove_instrument(turns)
        return
    loop: Any = asyncio.get_running_loop()
    call_soon = loop.call_soon

    def counting(*args: Any, **kwargs: Any) -> Any:
        turns.count += 1
        return call_soon(*args, **kwargs)

    loop.call_soon = counting
    yield turns
    del loop.call_soon
