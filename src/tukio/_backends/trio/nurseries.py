"""A trio nursery for very many tasks: nurseries within one, none of which becomes very large.

Owns:   which nursery the next task is started in.

trio keeps the tasks of a nursery in one set, and their cancel scopes in another. Where memory is
slow to allocate, a set of a hundred thousand takes tens of milliseconds to grow, and blocks the
whole loop meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOM = 16_384
"""The number of tasks that are started in one nursery before the next is opened."""


class Nurseries:
    """Starts tasks within a nursery, spread over nurseries of limited size.

    Args:
        root: The nursery that all others are in. When it is cancelled, so are they.
    """

    def __init__(self, root: trio.Nursery) -> None:
        self._root: trio.Nursery = root
        # The nursery that the next task is started in. Always open: the root, or one whose
        # `_open_next` still waits.
        self._latest: trio.Nursery = root
        # The number of tasks that may still be started in the latest one. Negative while the next
        # one is being opened.
        self._room: int = ROOM
        # Set when no more tasks are started in the latest one, which then ends with its last task.
        # Replaced for each nursery; set for good by `close`.
        self._full: trio.Event = trio.Event()

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: Any, name: str) -> None:
        """Start a task, as the method of a nursery does."""
        self._latest.start_soon(function, *args, name=name)
        self._room -= 1
        if not self._room:
            # Exactly once for each nursery. Until the next one is open, the latest one takes more
            # tasks than it should.
            self._root.start_soon(self._open_next, name="tukio nursery")

    def close(self) -> None:
        """End each nursery with its last task; from now on tasks are started in the root."""
        # Before the latest one is told to end: from then on no task may be started in it.
        self._latest = self._root
        self._full.set()

    async def _open_next(self) -> None:
        """Open the next nursery, and keep it open until it is full."""
        if self._full.is_set():
            # Closed before this task has begun.
            return
        # The latest nursery, until now, ends with its last task.
        self._full.set()
        self._full = full = trio.Event()
        async with trio.open_nursery() as nursery:
            self._latest, self._room = nursery, ROOM
            try:
                await full.wait()
            finally:
                if self._latest is nursery:
                    # Everything is cancelled, and this nursery may end before other tasks that
                    # still start some.
                    self._latest = self._root
