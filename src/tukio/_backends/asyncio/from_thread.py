"""Waiting in a thread for what an asyncio loop does, for as long as there is that loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, wait
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any

from ..._loop.running import NOT_RUNNING
from ..._model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_EVERY = 0.5
"""Seconds after which a thread that waits looks whether the loop still runs."""

MOST_LOOKS = 2
"""How often in a row the loop is found not to run before the thread gives up."""


def result_from_thread(
    function: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop
) -> Any:
    """Run an async function on a loop, from another thread, and return its result.

    Raises:
        EngineError: The loop does not run, or stops before the function is over.
        Exception: The exception of the function.
    """
    if not loop.is_running():
        raise EngineError(NOT_RUNNING)
    coro = _awaited(function)
    try:
        future = asyncio.run_coroutine_threadsafe(coro, loop)
    except RuntimeError:
        # Closed just now. The coroutine is closed, or Python says that nobody has awaited it.
        coro.close()
        raise EngineError(NOT_RUNNING) from None
    stopped = 0
    while not wait([future], LOOK_EVERY).done:
        # A loop that has stopped drops what it was asked for, and tells nobody. One that is run
        # again and again, as in loose mode, stands still for a moment only.
        stopped = 0 if loop.is_running() else stopped + 1
        if stopped == MOST_LOOKS:
            if getcoroutinestate(coro) == CORO_CREATED:
                # Or Python says that nobody has awaited it.
                coro.close()
            raise EngineError(NOT_RUNNING)
    try:
        return future.result()
    except CancelledError:
        # The task was cancelled, with all others, when the loop came to its end.
        raise EngineError(NOT_RUNNING) from None  # noqa: ASYNC104 - in a thread, not in a task


async def _awaited(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()
