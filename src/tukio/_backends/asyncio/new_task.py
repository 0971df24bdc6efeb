"""Registered tasks by themselves, outside a workflow.

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

    No engine takes part: no execution events are sent, and `teardown()` is not called.

    Args:
        name: The name that the task is registered under.
        data: The argument of its coroutine function.
        config: The argument of its holder class, if it has one.
        timeout: Seconds after which the task is cancelled and fails with `TimeoutError`; None or 0
            is no limit.
        loop: The event loop; None is the running one.

    Raises:
        UnknownTaskName: No task is registered under that name.
        Exception: The exception of the holder class, or of calling the coroutine function.
    """
    holder_class, function = REGISTRY.get(name)
    loop = loop or asyncio.get_running_loop()
    coro = function(data) if holder_class is None else function(holder_class(config), data)
    if not timeout:
        return TukioTask(coro, loop=loop)
    standalone = StandaloneTask(coro, loop)
    task = TukioTask(_within(timeout, coro, standalone), loop=loop, standalone=standalone)
    # If the task is cancelled before it begins, the coroutine was never awaited, and Python would
    # warn unless the coroutine is closed.
    task.add_done_callback(lambda _: coro.close())
    return task


async def _within(limit: float, coro: Coroutine[Any, Any, Any], standalone: StandaloneTask) -> Any:
    """Await a coroutine, within a time limit, and note whether the limit was reached."""
    scope = asyncio.timeout(limit)
    try:
        async with scope:
            return await coro
    except TimeoutError:
        # Asked of the scope, because the task may raise a `TimeoutError` of its own, which is an
        # ordinary error.
        standalone.timed_out = scope.expired()
        raise
