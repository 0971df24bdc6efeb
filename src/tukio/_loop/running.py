"""The backend that runs the calling code, and questions that only a running backend can answer."""

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
NOT_RUNNING = "the event loop of this engine is not running - nothing was called, or not to its end"
OTHER_TASK = (
    "an engine is left in the task that entered it, and this is another one; its runs are over"
    " - put 'async with tukio.Engine()' into one async function: within the test itself, or in a"
    " fixture of a test in virtual time, or of anyio's pytest plugin, for pytest-asyncio enters and"
    " leaves a fixture in two tasks"
)


def running_backend() -> str | None:
    """Return the name of the backend that runs the calling code; None outside of any backend."""
    # A module that is there may be half imported, by another thread: then nothing runs on it here.
    in_trio_task = getattr(sys.modules.get("trio.lowlevel"), "in_trio_task", None)
    if in_trio_task is not None and in_trio_task():
        return "trio"
    running_loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    if running_loop is not None and running_loop() is not None:
        return "asyncio"
    return None


def own_cancellations() -> Callable[[], int]:
    """Return a function that counts the pending native cancellations of the calling task.

    By this count a task on asyncio can tell its own cancellation from that of something that it
    awaits: a `CancelledError` while the count is 0 is not meant for the task. On trio the count is
    always 0, because there all cancellations belong to scopes.
    """
    if running_backend() != "asyncio":
        return int
    count: Callable[[], int] = sys.modules["asyncio"].current_task().cancelling
    return count


def native_task() -> Any:
    """Return the asyncio task that runs the calling code; None on trio, and outside of any loop."""
    if running_backend() != "asyncio":
        return None
    return sys.modules["asyncio"].current_task()
