"""The tree of an engine on asyncio: a task group of anyio, with one child that stands for all runs.

Owns:   the group and its child, from the beginning of the engine's block to its end.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from ..._loop.running import OTHER_TASK
from ..._loop.unbroken import Interruptions
from ..._model.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager


class AsyncioTree:
    """The tree of one engine.

    Args:
        loop: The event loop.
        stop_all: Cancels every run; called when the group is cancelled from outside, or closed.
        drained: Returns when no run is left.
    """

    __slots__ = ("_closing", "_drained", "_group", "_host", "_loop", "_stop_all", "_supervisor")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stop_all: Callable[[], object],
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        self._loop: asyncio.AbstractEventLoop = loop
        self._stop_all: Callable[[], object] = stop_all
        self._drained: Callable[[], Awaitable[None]] = drained
        # Set by `close`.
        self._closing: anyio.Event = anyio.Event()
        # The child; None until it begins.
        self._supervisor: asyncio.Task[Any] | None = None
        # The group, and the task that has entered it; None before that, and when it was left.
        self._group: Any = None
        self._host: asyncio.Task[Any] | None = None

    async def open(self) -> None:
        """Open the task group, and start its child."""
        group = anyio.create_task_group()
        await group.__aenter__()
        group.start_soon(self._supervise, name="tukio engine")
        self._host = asyncio.current_task(self._loop)
        self._group = group

    async def close(self) -> None:
        """Close the task group, when its child has ended; only the first call does something.

        Raises:
            EngineError: The calling task is not the one that has opened the group, and leaves it
                still, if it is in a scope within it.

        Cancellation: a native one is raised when the group is left.
        """
        # Before the wait for the child, which waits for this.
        self._closing.set()
        interruptions = Interruptions()
        try:
            await interruptions.outlast(self._supervisor_is_over)
            await self._leave()
        finally:
            interruptions.deliver()

    async def _leave(self) -> None:
        """Leave the task group, which has no child any more.

        The exception of the body is not passed to the group, which would wrap it: the caller raises
        it as it is.
        """
        group, host = self._group, self._host
        if group is None or host is None:
            return
        is_host = asyncio.current_task(self._loop) is host
        if is_host or _leave_for(host, group.cancel_scope):
            self._group = self._host = None
        if not is_host:
            raise EngineError(OTHER_TASK)
        await group.__aexit__(None, None, None)

    async def _supervisor_is_over(self) -> None:
        """Wait until the child of the task group has ended."""
        if self._supervisor is None:
            # It begins in the turn after `open`, unless it was cancelled natively before.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if self._supervisor is not None:
            # Not for an event, which Ctrl-C may keep it from setting.
            await asyncio.wait([self._supervisor])

    async def _supervise(self) -> None:
        """Stand for all runs in the task group: stop them at its end, and wait for them."""
        self._supervisor = asyncio.current_task(self._loop)
        try:
            await self._closing.wait()
        finally:
            interruptions = Interruptions()
            try:
                # Also when the group is cancelled from outside: then this is what cancels the runs.
                self._stop_all()
            finally:
                # The group must not be left before the runs have unwound.
                await interruptions.outlast(self._drained)  # noqa: ASYNC102 - it shields itself
                interruptions.deliver()


def _leave_for(host: asyncio.Task[Any], scope: AbstractContextManager[Any]) -> bool:
    """Leave a cancel scope for the task that has entered it, which is not the calling one.

    Else that task could leave no scope around it any more. The functions that this takes are those
    that asyncio has for tasks of other makes.

    Args:
        host: The task that has entered the scope.
        scope: The scope.

    Returns:
        Whether that was possible, or the task is over. If it is in a scope within this one, it must
        leave this scope by itself.
    """
    if host.done():
        return True
    loop, caller = host.get_loop(), asyncio.current_task()
    assert caller is not None
    asyncio._leave_task(loop, caller)
    asyncio._enter_task(loop, host)
    try:
        with suppress(RuntimeError):
            scope.__exit__(None, None, None)
            return True
    finally:
        asyncio._leave_task(loop, host)
        asyncio._enter_task(loop, caller)
    return False
