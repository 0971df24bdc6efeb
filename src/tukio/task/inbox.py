"""A bounded queue of events that never makes its sender wait: what a task or a listener reads."""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from ..event import Event

log: logging.Logger = logging.getLogger(__name__)

INBOX_SIZE = 10_000
"""How many events wait in a task's queue before the oldest are dropped."""


class Inbox:
    """Events that were received and wait to be read, first in, first out.

    It never makes a sender wait. When it is full, the oldest event is dropped and counted.

    Args:
        size: How many events it holds.

    Attributes:
        dropped: How many events were dropped because it was full.
    """

    __slots__ = ("_arrival", "_closed", "_events", "dropped", "size")

    def __init__(self, size: int = INBOX_SIZE) -> None:
        self.size: int = size
        self.dropped: int = 0
        self._events: deque[Event] = deque()
        self._arrival: anyio.Event | None = None
        self._closed: bool = False

    def put_nowait(self, event: Event) -> None:
        """Add an event and wake those who wait for one."""
        if len(self._events) >= self.size:
            self._events.popleft()
            self.dropped += 1
            if self.dropped == 1:
                log.warning("a queue is full (%d events): the oldest are dropped", self.size)
        self._events.append(event)
        self._wake()

    async def put(self, event: Event) -> None:
        """Add an event, as `put_nowait`; it does not wait."""
        self.put_nowait(event)

    def get_nowait(self) -> Event:
        """Remove and return the oldest event.

        Raises:
            anyio.WouldBlock: There is none. Where asyncio is in use, it also is what asyncio's
                queues raise, for the sake of code written for 1.x.
        """
        if not self._events:
            raise _empty_error()
        return self._events.popleft()

    async def get(self) -> Event:
        """Remove and return the oldest event; wait until there is one.

        Raises:
            anyio.EndOfStream: There is none, and none will come.

        Cancellation: no event is lost.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        while not self._events:
            if self._closed:
                raise anyio.EndOfStream
            if self._arrival is None:
                self._arrival = anyio.Event()
            await self._arrival.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Let no one wait any more for events that will not come."""
        self._closed = True
        self._wake()

    def qsize(self) -> int:
        """Return how many events are waiting."""
        return len(self._events)

    def empty(self) -> bool:
        """Return whether no event is waiting."""
        return not self._events

    def full(self) -> bool:
        """Return whether the next event would push the oldest one out."""
        return len(self._events) >= self.size

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None


def _empty_error() -> Exception:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return anyio.WouldBlock()
    kind = type("QueueEmpty", (anyio.WouldBlock, asyncio.QueueEmpty), {"__module__": __name__})
    error: Exception = kind()
    return error
