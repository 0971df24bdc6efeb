"""One handler of the broker, and the order in which it gets its events (G8).

Owns:   the calls of an async handler that wait for their turn.
Knows:  how to start something in the background, given by whoever owns the broker.

A handler is called at once, in place. For an async one that only makes a coroutine: these are
awaited one after the other in a task of their own, and the sender never waits.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections import deque
from typing import TYPE_CHECKING

import anyio

from .ports import is_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from .event import Event

    Handler = Callable[[Event], object]
    Serve = Callable[[Callable[[], Awaitable[None]], str], None]
    # What an async handler returned, and the topics that it was called for.
    Call = tuple[Awaitable[object], Collection[str]]

log: logging.Logger = logging.getLogger(__name__)

QUEUE_SIZE = 100_000
"""How many calls of an async handler wait before new events are dropped."""


class Subscription:
    """One handler, and what waits for it if it is async.

    Args:
        handler: Called with each event.
        serve: Starts an async function in the background, under a name.

    Attributes:
        alive: Whether it still gets events.
        dropped: How many events were dropped because the handler is too slow.
    """

    __slots__ = (
        "_busy",
        "_deadline",
        "_idle",
        "_scope",
        "_serve",
        "_waiting",
        "alive",
        "dropped",
        "handler",
    )

    def __init__(self, handler: Handler, serve: Serve) -> None:
        self.handler: Handler = handler
        self.alive: bool = True
        self.dropped: int = 0
        self._serve: Serve = serve
        self._waiting: deque[Call] = deque()
        self._deadline: float = math.inf
        self._busy: bool = False
        self._scope: anyio.CancelScope | None = None
        # Set when all calls have been dealt with; None while there is nothing to do.
        self._idle: anyio.Event | None = None

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
        if inspect.isawaitable(result):
            self._line_up(result, topics)

    def drop(self, unwanted: Callable[[Collection[str]], bool]) -> None:
        """Do not make those of the calls that wait whose topics are not wanted any more."""
        kept: deque[Call] = deque()
        for call, topics in self._waiting:
            if unwanted(topics):
                _discard(call)
            else:
                kept.append((call, topics))
        self._waiting = kept

    def end(self) -> None:
        """Deliver nothing any more, not even what waits; a call in progress goes on."""
        self.alive = False
        while self._waiting:
            _discard(self._waiting.popleft()[0])

    async def settle(self, deadline: float) -> bool:
        """Wait until all calls have been dealt with; return whether there were any.

        Args:
            deadline: When those still in progress are cut, on the clock of the backend.
        """
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline
        if self._idle is None:
            return False
        await self._idle.wait()
        return True

    def _line_up(self, call: Awaitable[object], topics: Collection[str]) -> None:
        if len(self._waiting) >= QUEUE_SIZE:
            _discard(call)
            self.dropped += 1
            if self.dropped == 1:
                log.warning("handler %r is too slow: new events are dropped", self.handler)
            return
        if self._idle is None:
            try:
                self._serve(self._call_in_order, f"tukio handler {self.handler!r}")
            except BaseException:
                _discard(call)
                raise
            self._idle = anyio.Event()
        self._waiting.append((call, topics))

    async def _call_in_order(self) -> None:
        """Await the calls that wait, until there are none.

        Shielded, so that the end of a run that is cancelled together with all around it is told
        like any other; `finish` gives it a limit.
        """
        try:
            with anyio.CancelScope(deadline=self._deadline, shield=True) as self._scope:
                while self._waiting:
                    self._busy = True
                    call, _ = self._waiting.popleft()
                    await self._call(call, self._scope)
                    self._busy = False
        finally:
            idle, self._idle, self._scope = self._idle, None, None
            if self._busy or self._waiting:
                lost = self._busy + len(self._waiting)
                log.warning("handler %r was cut short: %d events lost", self.handler, lost)
                self.end()
            if idle is not None:
                idle.set()

    async def _call(self, call: Awaitable[object], scope: anyio.CancelScope) -> None:
        try:
            await call
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: ASYNC103 - raised on, or not meant for this task
            # It may have found the cancellation of something else, and is not cancelled itself.
            if not isinstance(error, Exception) and (scope.cancel_called or is_cancelled()):
                raise
            log.exception("async handler %r failed", self.handler)


def _discard(call: Awaitable[object]) -> None:
    """Let go of a call that will not be awaited, without a warning."""
    close = getattr(call, "close", None)
    if close is not None:
        close()
