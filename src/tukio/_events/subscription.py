"""One handler of the broker, and the order in which it gets its events (G8).

Owns:   the calls of an async handler that wait for their turn.
Knows:  the workers, which make these calls one after the other.

A handler is called at once, in place. For an async one that only makes a coroutine, which is
awaited later, in a copy of the sender's context: the sender never waits.
"""

from __future__ import annotations

import inspect
import logging
from collections import deque
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from .._model.event import Event
    from .workers import Call, Workers

    Handler = Callable[[Event], object]

log: logging.Logger = logging.getLogger("tukio.broker")

QUEUE_SIZE = 100_000
"""How many calls of an async handler wait before new events are dropped."""


class Subscription:
    """One handler, and what waits for it if it is async.

    Args:
        handler: Called with each event.
        workers: Make the calls of async handlers.

    Attributes:
        handler: The same.
        alive: Whether it still gets events.
        dropped: How many events were dropped because the handler is too slow.
    """

    __slots__ = ("_busy", "_waiting", "_workers", "alive", "dropped", "handler")

    def __init__(self, handler: Handler, workers: Workers) -> None:
        self.handler: Handler = handler
        self.alive: bool = True
        self.dropped: int = 0
        self._workers: Workers = workers
        # The calls, and the topics that each was made for.
        self._waiting: deque[tuple[Call, Collection[str]]] = deque()
        # Whether the workers know of it: a call is in progress, or the next one is due.
        self._busy: bool = False

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Call the handler; if it is async, line the call up behind the earlier ones.

        Raises:
            EngineError: It is async, and there is nothing here that could await it.
        """
        if not self.alive:
            return
        try:
            result = self.handler(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: ASYNC103 - nobody can cancel what does not await
            # It may be the cancellation of something that the handler has looked at.
            log.exception("handler %r failed on %s", self.handler, event)
            return  # noqa: ASYNC104 - as said above
        if result is not None and inspect.isawaitable(result):
            self._line_up(result, topics)

    def drop(self, unwanted: Callable[[Collection[str]], bool]) -> None:
        """Do not make those of the calls that wait whose topics are not wanted any more."""
        kept: deque[tuple[Call, Collection[str]]] = deque()
        for call, topics in self._waiting:
            if unwanted(topics):
                call[0].close()
            else:
                kept.append((call, topics))
        self._waiting = kept

    def end(self) -> None:
        """Deliver nothing any more, not even what waits; a call in progress goes on."""
        self.alive = False
        while self._waiting:
            call, _ = self._waiting.popleft()
            call[0].close()

    def _line_up(self, result: Awaitable[object], topics: Collection[str]) -> None:
        coro = result if isinstance(result, CoroutineType) else _awaited(result)
        if len(self._waiting) >= QUEUE_SIZE:
            coro.close()
            self.dropped += 1
            if self.dropped == 1:
                log.warning("handler %r is too slow: new events are dropped", self.handler)
            return
        if not self._busy:
            try:
                self._workers.call_for(self)
            except BaseException:
                # Without this, Python warns that nobody has awaited it.
                coro.close()
                raise
            self._busy = True
        self._waiting.append(((coro, copy_context()), topics))

    # For the workers ---------------------------------------------------------------------------

    def take(self) -> Call | None:
        """Return the next call, or None.

        After None, the subscription requests a worker again when it has one.
        """
        if not self._has_more():
            return None
        return self._waiting.popleft()[0]

    def lose_call(self) -> bool:
        """Name the event whose call was cut, and return whether another call waits.

        If none does, it will ask for a worker anew.
        """
        self._name_lost(1)
        return self._has_more()

    def cut_short(self, *, in_progress: int = 0) -> None:
        """Make none of the calls that wait, and name what is lost.

        Args:
            in_progress: How many calls were cut.
        """
        lost = in_progress + len(self._waiting)
        if lost:
            self._name_lost(lost)
        self.end()

    def _name_lost(self, count: int) -> None:
        events = "event" if count == 1 else "events"
        log.warning("handler %r was cut short: %d %s lost", self.handler, count, events)

    def _has_more(self) -> bool:
        self._busy = bool(self._waiting)
        return self._busy


async def _awaited(result: Awaitable[object]) -> object:
    return await result
