"""How many tasks and timers there are: what waits must cost neither.

Knows:  the loop of the tests and trio, which can say what is alive in them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import trio

from tukio.testing.loop import VirtualTime
from tukio.testing.trio import all_tasks

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMER = "tukio timer"
"""The name of the task that is a timer on trio."""


def tasks_alive() -> set[object]:
    """Return all tasks of the running loop; on trio without those that are timers."""
    if trio.lowlevel.in_trio_run():
        return {task for task in all_tasks() if task.name != TIMER}
    return set(asyncio.all_tasks())


def timers_alive() -> int:
    """Return how many timers are set: on asyncio of anybody, on trio of ours."""
    if trio.lowlevel.in_trio_run():
        return sum(task.name == TIMER for task in all_tasks())
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTime)
    return len(loop.live_timers())


def tasks_named(name: str) -> Iterable[asyncio.Task[object]]:
    """Return the asyncio tasks of a name."""
    return [task for task in asyncio.all_tasks() if task.get_name() == name]
