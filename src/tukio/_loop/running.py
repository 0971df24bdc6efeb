"""Which backend runs this code, and what only a running one can tell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ELSEWHERE = (
    "this engine runs in another event loop or thread"
    " - call it there; from another thread, through engine.from_thread(...)"
)
IN_LOOP = "an event loop cannot wait like this - await the method instead, or call it from a thread"
NOT_RUNNING = "the event loop of this engine is not running - nothing was called"


def running_backend() -> str | None:
    """Return the name of the backend that this code runs on; None if it runs on none."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return "trio"
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return "asyncio"
    return None


def own_cancellations() -> Callable[[], int]:
    """Return what counts the cancellations that the calling task has not answered.

    On asyncio, those that were not aimed at a scope included: a task that meets a `CancelledError`
    without any has only looked at something that was cancelled. On trio there are none but those
    of scopes, and none is counted.
    """
    if running_backend() != "asyncio":
        return int
    count: Callable[[], int] = sys.modules["asyncio"].current_task().cancelling
    return count


def native_task() -> Any:
    """Return the asyncio task that runs this code; None on trio, and where no loop runs."""
    if running_backend() != "asyncio":
        return None
    return sys.modules["asyncio"].current_task()
