"""A bounded queue of events that never makes its sender wait; tasks and event streams have one."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from .._loop.turns import Turns
from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._model.event import Event

log: Log = Log("tukio.broker")

INBOX_SIZE = 10_000
"""The number of events that wait in a task's queue before the oldest are dropped."""


class Inbox:
    """Events that were received and wait to be read, first in, first out.

    Adding an event never waits. When the inbox is full, the oldest event is dropped and counted.
    Readers that wait get events in the order in which they began to wait.

    Args:
        size: The number of events that the inbox holds.
        check: Makes sure that the caller may use the inbox, or raises: that it runs where the
            readers do. None makes sure of nothing.

    Attributes:
        size: The number of events that the inbox holds; never changes.
        dropped: The number of events that were dropped because the inbox was full.
    """

    __slots__ = (
        "_all_done",
        "_called",
        "_check",
        "_closed",
        "_events",
        "_latest",
        "_promised",
        "_readers",
        "_turns",
        "_unfinished",
        "dropped",
        "size",
    )

    def __init__(
        self, size: int = INBOX_SIZE, *, check: Callable[[], object] | None = None
    ) -> None:
        self.size: int = size
        self.dropped: int = 0
        self._check: Callable[[], object] | None = check
        # Events that no reader has got yet, oldest first; never more than `size`, but for those
        # that cancelled readers have put back.
        self._events: deque[Event] = deque()
        # The number of the reader that began to wait last: each has the next one.
        self._latest: int = 0
        # Readers that wait and have not been called, in the order in which they began to wait; each
        # is set when it is called. Empty whenever `_events` is not: an event goes to a waiting
        # reader at once. No deque, for a reader that is cancelled leaves it wherever it stands.
        self._readers: OrderedDict[int, anyio.Event] = OrderedDict()
        # Readers that were called and have not taken their events yet, and those events, both
        # oldest first: the first is for the first, and so on. So if some of the readers give up,
        # whatever their order, it is the youngest events that are left. Searched by halves, as the
        # numbers grow: there may be thousands, and on trio they come in any order.
        self._called: list[int] = []
        self._promised: list[Event] = []
        # Set by `close`, set back by `reopen`. Events can still be put, and be read.
        self._closed: bool = False
        # The number of events that were put, and not dropped, and for which `task_done` was not
        # called. Only `join` looks at this.
        self._unfinished: int = 0
        self._turns: Turns = Turns(anyio.lowlevel)
        # Set, and replaced by None, when `_unfinished` becomes zero; always None while no `join`
        # waits.
        self._all_done: anyio.Event | None = None

    def put_nowait(self, event: Event) -> None:
        """Add an event, or hand it to the reader that has waited longest.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
        """
        self._check_here()
        self.add(event)

    def add(self, event: Event) -> None:
        """Add an event, as `put_nowait`, from where the readers are."""
        self._unfinished += 1
        if self._readers:
            # Not by way of `_events`: a reader that comes later must not take the event first.
            self._promised.append(event)
            self._call_next()
            return
        if len(self._events) >= self.size:
            self._events.popleft()
            self._unfinished -= 1
            self.dropped += 1
            if self.dropped == 1:
                log.warning("a queue is full (%d events): the oldest are dropped", self.size)
        self._events.append(event)

    def get_nowait(self) -> Event:
        """Remove and return the oldest event.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
            anyio.WouldBlock: There is no event. Where asyncio is in use, the exception is also an
                `asyncio.QueueEmpty`, for code written for 1.x.
        """
        self._check_here()
        if not self._events:
            raise _empty_error()
        return self._events.popleft()

    async def get(self) -> Event:
        """Remove and return the oldest event; wait until there is one.

        Raises:
            EngineError: Called from another event loop or thread.
            anyio.EndOfStream: There is no event, and none will come.

        Cancellation: no event is lost.
        """
        self._check_here()
        # Before an event is removed, because a cancelled reader must not take one.
        await self._turns.give_way()
        if self._events:
            return self._events.popleft()
        if self._closed:
            raise anyio.EndOfStream
        self._latest = number = self._latest + 1
        self._readers[number] = called = anyio.Event()
        try:
            await called.wait()
        except BaseException:
            # An event may have been promised before the cancellation arrived.
            self._give_up(number)
            raise
        place = self._place(number)
        if place is None:
            # Called by `close`.
            raise anyio.EndOfStream
        del self._called[place]
        return self._promised.pop(place)

    def close(self) -> None:
        """End all waiting: from now on `get` raises `EndOfStream` when there is no event."""
        self._closed = True
        while self._readers:
            self._readers.popitem(last=False)[1].set()

    def reopen(self) -> None:
        """Undo `close`, for readers to come."""
        self._closed = False

    def _call_next(self) -> None:
        """Call the reader that has waited longest, for the last event that was promised."""
        number, reader = self._readers.popitem(last=False)
        self._called.append(number)
        reader.set()

    def _place(self, number: int) -> int | None:
        """Return the place of a reader among those that were called; None if it was not."""
        place = bisect_left(self._called, number)
        return place if self._called[place : place + 1] == [number] else None

    def _give_up(self, number: int) -> None:
        """Called when a waiting reader was cancelled; if it was called, another event is free."""
        if self._readers.pop(number, None) is not None:
            return
        place = self._place(number)
        if place is None:
            # Called by `close`.
            return
        del self._called[place]
        if self._readers:
            self._call_next()
        else:
            # In front, because events that were put since are younger; the others that are
            # promised are older.
            self._events.appendleft(self._promised.pop())

    def _check_here(self) -> None:
        if self._check is not None:
            self._check()

    # As in 1.x -----------------------------------------------------------------------------------

    @property
    def maxsize(self) -> int:
        """The number of events that the inbox holds, by its name in asyncio's queues."""
        return self.size

    async def put(self, event: Event) -> None:
        """Add an event, as `put_nowait`; never waits.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.

        Cancellation: the event was not added.
        """
        self._check_here()
        await self._turns.give_way()
        self.add(event)

    def task_done(self) -> None:
        """Count an event that was read as processed, for `join`.

        Raises:
            EngineError: Called from another event loop or thread. Nothing changes.
            ValueError: Called more often than there were events.
        """
        self._check_here()
        if not self._unfinished:
            msg = "task_done() called too many times: once for each event that was taken"
            raise ValueError(msg)
        self._unfinished -= 1
        if not self._unfinished and self._all_done is not None:
            self._all_done.set()
            self._all_done = None

    async def join(self) -> None:
        """Wait until `task_done` was called for each event.

        Raises:
            EngineError: Called from another event loop or thread.

        Cancellation: only the waiting ends.
        """
        self._check_here()
        await self._turns.give_way()
        # Looked at anew after each wait, because further events may have been put meanwhile.
        while self._unfinished:
            if self._all_done is None:
                self._all_done = anyio.Event()
            await self._all_done.wait()

    def qsize(self) -> int:
        """Return the number of events that wait to be read."""
        return len(self._events)

    def empty(self) -> bool:
        """Return whether no event waits to be read."""
        return not self._events

    def full(self) -> bool:
        """Return whether adding an event would drop the oldest one."""
        return len(self._events) >= self.size


def _empty_error() -> Exception:
    """Return the error of `get_nowait` on an empty inbox."""
    # The module may be half imported, by another thread.
    of_asyncio = getattr(sys.modules.get("asyncio"), "QueueEmpty", None)
    if of_asyncio is None:
        return anyio.WouldBlock()
    kind = type("QueueEmpty", (anyio.WouldBlock, of_asyncio), {"__module__": __name__})
    error: Exception = kind()
    return error
