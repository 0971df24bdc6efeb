"""An asyncio loop as other threads see it: which thread it runs in, and what it is at."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class LoopFromOutside:
    """A loop, seen from other threads.

    Args:
        loop: The loop. Unless it is one of asyncio's own, it is taken for one that runs in the
            calling thread, until it is seen in another one.

    Attributes:
        loop: The loop; never changes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        # Where it was seen last.
        self._seen_in: int = threading.get_ident()

    @property
    def thread(self) -> int | None:
        """The id of the thread that the loop runs in, or is to run in; None once it is closed."""
        if self.loop.is_closed():
            return None
        # No public attribute tells, and uvloop has none at all.
        running_in: int | None = getattr(self.loop, "_thread_id", None)
        return running_in or self._seen_in

    def note_thread(self) -> None:
        """Called in a turn of the loop now and then: note which thread this is."""
        self._seen_in = threading.get_ident()

    def call_from_outside(self, function: Callable[[], object]) -> None:
        """Call a function in a turn of the loop, from any thread; if it is closed, never."""
        # A loop in virtual time has a way that leaves the order of its tasks as it is.
        call = getattr(self.loop, "call_beside", self.loop.call_soon_threadsafe)
        with suppress(RuntimeError):
            # What a loop that never turns keeps must not keep this.
            call(partial(_call_in, weakref.ref(self), function))

    def present(self) -> tuple[Context, Any] | None:
        """Return the context and the coroutine of the task that the loop is at; None for none."""
        task = asyncio.current_task(self.loop)
        if task is None:
            return None
        if sys.version_info >= (3, 12):
            return task.get_context(), task.get_coro()
        # No method tells up to Python 3.11, but the garbage collector knows what a task refers to.
        contexts = [one for one in gc.get_referents(task) if isinstance(one, Context)]
        return (contexts[0], task.get_coro()) if contexts else None


def _call_in(known: Callable[[], LoopFromOutside | None], function: Callable[[], object]) -> None:
    """Call a function in a turn of a loop, and note where that is."""
    loop = known()
    if loop is not None:
        loop.note_thread()
    function()
