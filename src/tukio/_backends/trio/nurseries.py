"""A trio nursery for very many tasks: nurseries within one, none of which gets very large.

Owns:   which nursery the next task is started in.

Trio keeps the tasks of a nursery, and their cancel scopes, in a set each. A set of a hundred
thousand takes tens of milliseconds to grow where memory is slow to come, and everything waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOM = 16_384
"""How many tasks are started in one nursery before the next is opened."""


class Nurseries:
    """Where tasks are started that live as long as a nursery.

    Args:
        root: The nursery that all others are in, and that ends them: when it is cancelled, so are
            they.
    """

    def __init__(self, root: trio.Nursery) -> None:
        self._root: trio.Nursery = root
        self._latest: trio.Nursery = root
        self._room: int = ROOM
        # Set when nothing more is started in the latest: it then ends with its last task.
        self._full: trio.Event = trio.Event()

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: Any, name: str) -> None:
        """Start a task, as the method of a nursery does."""
        self._latest.start_soon(function, *args, name=name)
        self._room -= 1
        if not self._room:
            # Until that is open, the latest takes more than it should.
            self._root.start_soon(self._open_next, name="tukio nursery")

    def close(self) -> None:
        """Let each nursery end with its last task. Whatever is still started is in the root."""
        self._latest = self._root
        self._full.set()

    async def _open_next(self) -> None:
        if self._full.is_set():
            return
        self._full.set()
        self._full = full = trio.Event()
        async with trio.open_nursery() as nursery:
            self._latest, self._room = nursery, ROOM
            try:
                await full.wait()
            finally:
                if self._latest is nursery:
                    # All is cancelled, and this may end before the rest.
                    self._latest = self._root
