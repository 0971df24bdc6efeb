"""One handler of the broker, and the order in which it gets its events (G8).

Owns:   the calls of an async handler that wait for their turn.
Knows:  the workers, which make these calls one after the other.

A handler is called at once, by the sender. Calling an async handler only makes a coroutine. That is
awaited later, in a copy of the sender's context, so the sender never waits.
"""

from __future__ import annotations

import inspect
from collections import deque
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .._loop.surroundings import serving, surroundings
from .._model.awaiting import never_awaits
from .._model.guard import exposed, program_end
from .._model.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from contextvars import Context
    from types import CodeType

    from .._model.event import Event
    from .caller import Call
    from .workers import Workers

    Handler = Callable[[Event], object]

log: Log = Log("tukio.broker")

QUEUE_SIZE = 100_000
"""The number of calls of an async handler that may wait before new events are dropped."""


class _Waiting:
    """A call that waits.

    Attributes:
        call: The call; None when it was taken, or dropped.
        topics: The topics that its event was dispatched in.
    """

    __slots__ = ("call", "topics")

    def __init__(self, call: Call, topics: Collection[str]) -> None:
        self.call: Call | None = call
        self.topics: Collection[str] = topics


class Subscription:
    """One handler, and its waiting calls if it is async.

    Args:
        handler: The handler, called with each event.
        workers: The workers that make the calls of async handlers.

    Attributes:
        handler: The handler; never changes.
        alive: Whether the handler still gets events. Set to False by `end`, and never set back.
        dropped: The number of events that were dropped because the handler is too slow.
        prompt: Whether the call that was taken last awaits nothing. Changed only by `take`.
    """

    __slots__ = (
        "_busy",
        "_by_topic",
        "_code",
        "_gone",
        "_waiting",
        "_workers",
        "alive",
        "dropped",
        "handler",
        "prompt",
    )

    def __init__(self, handler: Handler, workers: Workers) -> None:
        self.handler: Handler = handler
        self.alive: bool = True
        self.dropped: int = 0
        self.prompt: bool = False
        # That of the call that was taken last, for which `prompt` was found.
        self._code: CodeType | None = None
        self._workers: Workers = workers
        # Calls that no worker has taken yet, first come first served, and `_gone` that were dropped
        # since. A coroutine leaves this only by being made or closed, because Python warns about
        # one that was never awaited.
        self._waiting: deque[_Waiting] = deque()
        self._gone: int = 0
        # Topic -> the calls for events of that topic: all that wait, and perhaps others. None
        # unless calls have been dropped since there were none the last time.
        self._by_topic: dict[str, list[_Waiting]] | None = None
        # True exactly while the workers know of this subscription: a call is in progress, or the
        # next one is due. So a handler never has two calls in progress.
        self._busy: bool = False

    @exposed
    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Call the handler; if it is async, queue the call behind the earlier ones.

        Raises:
            EngineError: The handler is async, and no event loop here could await the call.
        """
        if not self.alive:
            # Ended while this delivery was in the outbox of the broker.
            return
        # What it sets there stays there: this is the context of a step, or of whoever dispatches.
        context = copy_context()
        try:
            result: Any = context.run(serve, self._workers.serves, self.handler, event)
            # In here, because that asks what the handler has returned for its class.
            call = result if result is not None and inspect.isawaitable(result) else None
        except BaseException as error:  # noqa: ASYNC103 - nobody can cancel what does not await
            ending = program_end(error)
            if ending is error:
                raise
            # A cancellation ends up here, too: the handler may have asked a cancelled future for
            # its result.
            where = tuple(topics) or None
            log.exception("handler %s failed on an event of %s", self.handler, where)
            if ending is not None:
                # Out of a group, of which the rest is in the log.
                raise ending from None  # noqa: ASYNC104 - it ends the program
            return  # noqa: ASYNC104 - as said above
        if call is not None:
            self._line_up(call, context, topics)

    def drop(self, topic: str, unwanted: Callable[[Collection[str]], bool]) -> None:
        """Drop the waiting calls that a topic was the last reason for.

        Each call is looked at once for each of its topics, however many topics the handler leaves.

        Args:
            topic: The topic that the handler has left.
            unwanted: Returns whether a call for an event of some topics is to be dropped.
        """
        if self._by_topic is None:
            self._by_topic = {}
            for one in self._waiting:
                self._file(one, self._by_topic)
        of_topic = [one for one in self._by_topic.pop(topic, ()) if one.call is not None]
        kept: list[_Waiting] = []
        for one in of_topic:
            if not unwanted(one.topics):
                kept.append(one)
            elif one.call is not None:
                one.call[0].close()
                one.call = None
                self._gone += 1
        # The handler may enter and leave this topic once more.
        self._by_topic[topic] = kept
        if self._gone > len(self._waiting) // 2:
            # A call in progress may go on for long, and more be dropped meanwhile.
            self._waiting = deque(one for one in self._waiting if one.call is not None)
            self._gone, self._by_topic = 0, None

    def _file(self, one: _Waiting, by_topic: dict[str, list[_Waiting]]) -> None:
        for topic in one.topics:
            by_topic.setdefault(topic, []).append(one)

    def end(self) -> None:
        """Called when the handler gets no more events, waiting ones included.

        A call in progress goes on.
        """
        self.alive = False
        while self._waiting:
            one = self._waiting.popleft()
            if one.call is not None:
                one.call[0].close()
        self._gone = 0
        self._by_topic = None

    def _line_up(
        self, result: Awaitable[object], context: Context, topics: Collection[str]
    ) -> None:
        """Queue a call of the async handler, and request a worker if none knows of it."""
        coro: Any = result if isinstance(result, CoroutineType) else _awaited(result)
        if len(self._waiting) - self._gone >= QUEUE_SIZE:
            coro.close()
            self.dropped += 1
            if self.dropped == 1:
                log.warning("handler %s is too slow: new events are dropped", self.handler)
            return
        if not self._busy:
            try:
                # Before the call is queued, because this may raise: then nothing has changed.
                self._workers.call_for(self)
            except BaseException:
                # Closed, or Python warns that the coroutine was never awaited.
                coro.close()
                raise
            self._busy = True
        one = _Waiting((coro, context), topics)
        self._waiting.append(one)
        if self._by_topic is not None:
            self._file(one, self._by_topic)

    # For the workers -----------------------------------------------------------------------------

    def take(self) -> Call | None:
        """Return the next call, or None.

        After None, the subscription requests a worker again when it has one.
        """
        if not self.has_more():
            return None
        one = self._waiting.popleft()
        # No more to be dropped, though it may still be known by its topics.
        call, one.call = one.call, None
        if call is not None and call[0].cr_code is not self._code:
            self._code = call[0].cr_code
            self.prompt = never_awaits(self._code)
        return call

    def has_more(self) -> bool:
        """Return whether a call waits.

        After False, the subscription requests a worker again when it has one.
        """
        while self._gone and self._waiting[0].call is None:
            self._waiting.popleft()
            self._gone -= 1
        self._busy = bool(self._waiting)
        if not self._busy:
            self._by_topic = None
        return self._busy

    def lose_call(self) -> bool:
        """Called when a call was cancelled: log its event as lost, return whether another waits.

        After False, the subscription requests a worker again when it has a call.
        """
        self._name_lost(1)
        return self.has_more()

    def cut_short(self, *, in_progress: int = 0) -> None:
        """Called when the workers make no more calls: drop the waiting ones, and log what is lost.

        Args:
            in_progress: The number of calls that were cancelled while in progress.
        """
        lost = in_progress + len(self._waiting) - self._gone
        if lost:
            self._name_lost(lost)
        self.end()

    def _name_lost(self, count: int) -> None:
        events = "event" if count == 1 else "events"
        log.warning("handler %s was cut short: %d %s lost", self.handler, count, events)


@exposed
def serve(engine: Callable[[], Any] | None, function: Callable[..., object], *args: Any) -> object:
    """Call a handler or a tap, which finds its engine around itself; None is no engine."""
    if engine is not None:
        serving.set((engine, surroundings.get(None)))
    return function(*args)


@exposed
async def _awaited(result: Awaitable[object]) -> object:
    return await result
