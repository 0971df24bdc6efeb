"""A bounded queue of events that never makes its sender wait: what a task or a listener reads."""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from .._model.event import Event

log: logging.Logger = logging.getLogger("tukio.broker")

INBOX_SIZE = 10_000
"""How many events wait in a task's queue before the oldest are dropped."""


class _Reader:
    """Someone who waits for an event.

    Attributes:
        event: The event that was handed to them; None before.
        called: Set when there is one, or none will come.
    """

    __slots__ = ("called", "event")

    def __init__(self) -> None:
        self.event: Event | None = None
        self.called: anyio.Event = anyio.Event()


class Inbox:
    """Events that were received and wait to be read, first in, first out.

    It never makes a sender wait. When it is full, the oldest event is dropped and counted. Those
    who wait for an event are served in the order they came.

    Args:
        size: How many events it holds.

    Attributes:
        dropped: How many events were dropped because it was full.
    """

    __slots__ = ("_all_done", "_closed", "_events", "_readers", "_unfinished", "dropped", "size")

    def __init__(self, size: int = INBOX_SIZE) -> None:
        self.size: int = size
        self.dropped: int = 0
        self._events: deque[Event] = deque()
        self._readers: deque[_Reader] = deque()
        self._closed: bool = False
        # Events that were put and not called done; of use only to who calls `join`.
        self._unfinished: int = 0
        self._all_done: anyio.Event | None = None

    @property
    def maxsize(self) -> int:
        """How many events it holds, as asyncio's queues call it."""
        return self.size

    def put_nowait(self, event: Event) -> None:
        """Add an event, or hand it to the first of those who wait for one."""
        self._unfinished += 1
        if self._readers:
            self._hand_over(event)
            return
        if len(self._events) >= self.size:
            self._events.popleft()
            self._unfinished -= 1
            self.dropped += 1
            if self.dropped == 1:
                log.warning("a queue is full (%d events): the oldest are dropped", self.size)
        self._events.append(event)

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
        if self._events:
            return self._events.popleft()
        if self._closed:
            raise anyio.EndOfStream
        reader = _Reader()
        self._readers.append(reader)
        try:
            await reader.called.wait()
        except BaseException:
            self._give_up(reader)
            raise
        if reader.event is None:
            raise anyio.EndOfStream
        return reader.event

    def task_done(self) -> None:
        """Say that an event which was taken has been dealt with, for `join`.

        Raises:
            ValueError: There were not as many events.
        """
        if not self._unfinished:
            msg = "task_done() called too many times: once for each event that was taken"
            raise ValueError(msg)
        self._unfinished -= 1
        if not self._unfinished and self._all_done is not None:
            self._all_done.set()
            self._all_done = None

    async def join(self) -> None:
        """Wait until `task_done` was called for each event.

        Cancellation: only the waiting ends.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        while self._unfinished:
            if self._all_done is None:
                self._all_done = anyio.Event()
            await self._all_done.wait()

    def close(self) -> None:
        """Let no one wait any more for events that will not come."""
        self._closed = True
        while self._readers:
            self._readers.popleft().called.set()

    def qsize(self) -> int:
        """Return how many events are waiting."""
        return len(self._events)

    def empty(self) -> bool:
        """Return whether no event is waiting."""
        return not self._events

    def full(self) -> bool:
        """Return whether the next event would push the oldest one out."""
        return len(self._events) >= self.size

    def _hand_over(self, event: Event) -> None:
        reader = self._readers.popleft()
        reader.event = event
        reader.called.set()

    def _give_up(self, reader: _Reader) -> None:
        """Wait no more; what was handed over meanwhile goes to the next, or back."""
        if reader in self._readers:
            self._readers.remove(reader)
        elif reader.event is None:
            return
        elif self._readers:
            self._hand_over(reader.event)
        else:
            self._events.appendleft(reader.event)


def _empty_error() -> Exception:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return anyio.WouldBlock()
    kind = type("QueueEmpty", (anyio.WouldBlock, asyncio.QueueEmpty), {"__module__": __name__})
    error: Exception = kind()
    return error
