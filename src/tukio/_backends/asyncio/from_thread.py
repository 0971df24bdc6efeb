"""Waiting in a thread for what an asyncio loop does, for as long as there is that loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, Final

import anyio

from ..._loop.in_thread import check_cancelled, is_waited_for
from ..._loop.running import NOT_RUNNING
from ..._model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_EVERY: Final = 0.5
"""Seconds after which a thread that waits looks whether the loop still runs."""

MOST_LOOKS: Final = 2
"""How often in a row the loop is found not to run before the thread gives up."""

ASK_EVERY: Final = 0.02
"""Seconds after which a thread that a task waits for asks whether that was cancelled."""

CUT: Final = object()
"""What a call returns that was cut."""


def result_from_thread(
    function: Callable[[], Awaitable[Any]], loop: asyncio.AbstractEventLoop
) -> Any:
    """Run an async function on a loop, from another thread, and return its result.

    If a task waits for the thread and is cancelled, so is the function, by a scope.

    Raises:
        EngineError: The loop does not run, or stops before the function is over.
        BaseException: The cancellation, of a task that waits for the thread.
        Exception: The exception of the function.
    """
    check_cancelled()
    if not loop.is_running():
        raise EngineError(NOT_RUNNING)
    call = _Call(function)
    coro = call.made()
    try:
        future = asyncio.run_coroutine_threadsafe(coro, loop)
    except RuntimeError:
        # Closed just now. The coroutine is closed, or Python says that nobody has awaited it.
        coro.close()
        raise EngineError(NOT_RUNNING) from None
    if is_waited_for():
        _ask_until_over(future, call, loop)
    else:
        _look_until_over(future, loop)
    if not future.done():
        if getcoroutinestate(coro) == CORO_CREATED:
            # Or Python says that nobody has awaited it.
            coro.close()
        raise EngineError(NOT_RUNNING)
    try:
        result = future.result()
    except CancelledError:
        # The task was cancelled, with all others, when the loop came to its end.
        check_cancelled()
        raise EngineError(NOT_RUNNING) from None  # noqa: ASYNC104 - in a thread, not in a task
    if result is CUT:
        check_cancelled()
        raise EngineError(NOT_RUNNING)
    return result


class _Call:
    """One call of a function, which can be cut from when it is asked for."""

    def __init__(self, function: Callable[[], Awaitable[Any]]) -> None:
        self._function: Callable[[], Awaitable[Any]] = function
        # Both are of the loop alone. The scope is there from when the function begins.
        self._scope: anyio.CancelScope | None = None
        self._cut: bool = False

    async def made(self) -> Any:
        """Await the function; return `CUT` if it was cut."""
        with anyio.CancelScope() as self._scope:
            if self._cut:
                self._scope.cancel()
            return await self._function()
        return CUT

    def cut(self) -> None:
        """Cancel the function, now or when it begins; called in the loop."""
        self._cut = True
        if self._scope is not None:
            self._scope.cancel()


def _look_until_over(future: Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    """Wait until a future is done, or the loop has stopped.

    A loop that has stopped drops what it was asked for, and tells nobody. One that is run again and
    again, as in loose mode, stands still for a moment only.
    """
    stopped = 0
    while stopped < MOST_LOOKS and not wait([future], LOOK_EVERY).done:
        stopped = 0 if loop.is_running() else stopped + 1


def _ask_until_over(future: Future[Any], call: _Call, loop: asyncio.AbstractEventLoop) -> None:
    """Wait likewise, and cut the call when the task that waits for this thread was cancelled."""
    stopped = 0.0
    is_cut = False
    while stopped < MOST_LOOKS * LOOK_EVERY and not wait([future], ASK_EVERY).done:
        stopped = 0.0 if loop.is_running() else stopped + ASK_EVERY
        if not is_cut and _was_cancelled():
            is_cut = True
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(call.cut)


def _was_cancelled() -> bool:
    try:
        check_cancelled()
    except BaseException:  # noqa: ASYNC103, BLE001 - in a thread, and raised when the call is over
        return True  # noqa: ASYNC104 - likewise
    return False
