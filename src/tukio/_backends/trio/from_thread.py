"""Waiting in a thread for what a trio run does, for as long as there is that run."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from ..._loop.coroutines import awaited_in
from ..._loop.running import NOT_RUNNING
from ..._model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

ANOTHER_RUN: Final = object()
"""What is returned in a trio run that is not that of the engine."""


def result_from_thread(
    function: Callable[[], Awaitable[Any]], token: trio.lowlevel.TrioToken
) -> Any:
    """Run an async function in a trio run, from another thread, and return its result.

    If a task of the run waits for the thread, it is that task that runs the function, in its
    scopes: so the function is cancelled with it.

    Raises:
        EngineError: The run is over, or ends before the function.
        trio.Cancelled: A task that waits for the thread was cancelled.
        Exception: The exception of the function.
    """
    if _is_waited_for():
        there = partial(_awaited_there, function, token, copy_context())
        result = _run(there, None)
        if result is not ANOTHER_RUN:
            return result
    try:
        return _run(function, token)
    except trio.Cancelled:
        # The function is cancelled with the whole trio run, if that ends first.
        raise EngineError(NOT_RUNNING) from None  # noqa: ASYNC104 - in a thread, not in a task


def _is_waited_for() -> bool:
    """Return whether a task waits for this thread; raise its cancellation if there was one."""
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        return False
    return True


def _run(function: Callable[[], Awaitable[Any]], token: trio.lowlevel.TrioToken | None) -> Any:
    try:
        return trio.from_thread.run(function, trio_token=token)
    except trio.RunFinishedError:
        raise EngineError(NOT_RUNNING) from None


async def _awaited_there(
    function: Callable[[], Awaitable[Any]], token: trio.lowlevel.TrioToken, context: Context
) -> Any:
    """Await a function in the context of the thread, and not in that of the task."""
    if trio.lowlevel.current_trio_token() is not token:
        return ANOTHER_RUN
    return await awaited_in(context, _awaited(function))


async def _awaited(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()
