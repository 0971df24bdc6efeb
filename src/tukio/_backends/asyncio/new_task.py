"""Registered tasks by themselves, outside a workflow; and their registration, as in 1.x.

Source: 1.x `tukio.task.task`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..._model.registry import REGISTRY
from .standalone import StandaloneTask
from .task import TukioTask

if TYPE_CHECKING:
    from collections.abc import Coroutine


def new_task(
    name: Any,
    *,
    data: Any = None,
    config: Any = None,
    timeout: float | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> TukioTask:
    """Run a registered task by itself, outside a workflow. For asyncio only, as in 1.x.

    No engine looks after it: no event tells of it, and `teardown()` is not called.

    Args:
        name: The name it is registered under.
        data: What its coroutine is called with.
        config: For a holder class.
        timeout: Seconds after which it is cancelled and fails with `TimeoutError`; None or 0 is
            no limit.
        loop: The event loop; None is the running one.

    Raises:
        UnknownTaskName: Nothing is registered under that name.
        Exception: What the holder class or the call raised.
    """
    holder_class, function = REGISTRY.get(name)
    loop = loop or asyncio.get_running_loop()
    coro = function(data) if holder_class is None else function(holder_class(config), data)
    if not timeout:
        return TukioTask(coro, loop=loop)
    standalone = StandaloneTask(coro, loop.time)
    task = TukioTask(_within(timeout, coro, standalone), loop=loop, standalone=standalone)
    # It was never awaited if the task is cancelled before it begins, and Python would warn.
    task.add_done_callback(lambda _: coro.close())
    return task


async def _within(limit: float, coro: Coroutine[Any, Any, Any], standalone: StandaloneTask) -> Any:
    scope = asyncio.timeout(limit)
    try:
        async with scope:
            return await coro
    except TimeoutError:
        # Or it is one of the task's own, which is an ordinary error.
        standalone.timed_out = scope.expired()
        raise
