"""Events as an async iterator; `engine.subscribe` returns one.

Owns:   the events that wait for the reader.
Knows:  the broker, which delivers these events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel

from .._model.display import shown
from .._model.errors import EngineError
from .queue import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._model.event import Event
    from .broker import Broker

BUFFER = 1_000
"""The number of events that wait for the reader before the oldest are dropped."""


class EventStream:
    """The events of some topics, in the order in which they were dispatched.

    Senders never wait for a reader: when the buffer is full, the oldest event is dropped and
    counted, and a warning is logged once.

        async with engine.subscribe("a", "b") as events:
            async for event in events:
                ...

    The iteration ends with the engine: when the engine's block is left, or when `await
    engine.stop()` returns. Events that were dispatched before are still returned. A stream may be
    entered again after it was left, and goes on with what comes then.

    Args:
        broker: Returns the broker that the events come from.
        check: Makes sure that the caller runs where the engine does.
        topics: The topics; none is every topic except the execution events.
        buffer: The number of events that may wait for the reader.

    Raises:
        ValueError: `buffer` is not positive.
        TypeError: A topic is not a string.
    """

    def __init__(
        self,
        broker: Callable[[], Broker],
        check: Callable[[], object],
        topics: tuple[str, ...],
        buffer: int = BUFFER,
    ) -> None:
        check_buffer(buffer)
        for topic in topics:
            if not isinstance(topic, str):
                msg = f"a topic must be a string, not {shown(topic)}"
                raise TypeError(msg)
        # Asked for each time, because an engine may replace its broker until it is bound to a loop.
        self._broker: Callable[[], Broker] = broker
        self._check: Callable[[], object] = check
        # True exactly within the block; and whether there was a block at all.
        self._is_entered: bool = False
        self._was_entered: bool = False
        # Set by `finish`, and never set back.
        self._finished: bool = False
        # Never empty; None stands for every topic.
        self._topics: tuple[str | None, ...] = topics or (None,)
        # Filled only by the broker, and emptied only by the reader; closed by `end`, and open again
        # in the next block.
        self._inbox: Inbox = Inbox(buffer, check=check)

    @property
    def dropped(self) -> int:
        """The number of events that were dropped because the reader was too slow."""
        return self._inbox.dropped

    async def __aenter__(self) -> Self:
        """Listen to the topics; the iteration goes on if it had ended with an earlier block.

        Raises:
            EngineError: It is entered already, or the engine runs in another event loop or thread.

        Cancellation: it is left.
        """
        self._check()
        if self._is_entered:
            msg = "this stream is entered already - take another one of engine.subscribe(...)"
            raise EngineError(msg)
        if not self._finished:
            # Before it is attached: a broker that is closed calls `end` at once.
            self._inbox.reopen()
            for topic in self._topics:
                self._broker().attach(self, topic)
        self._is_entered = self._was_entered = True
        try:
            # After that: what is sent meanwhile is for the reader.
            await anyio.lowlevel.checkpoint()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Listen to the topics no more.

        Raises:
            EngineError: The engine runs in another event loop or thread. Nothing changes.
        """
        self._check()
        self._leave()

    def _leave(self) -> None:
        self._is_entered = False
        for topic in self._topics:
            self._broker().detach(self, topic)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; wait until there is one.

        Raises:
            EngineError: The stream was never entered, or the engine runs in another event loop or
                thread.

        Cancellation: no event is lost.
        """
        if not self._was_entered:
            msg = "nothing comes before the stream is entered - async with engine.subscribe(...)"
            raise EngineError(msg)
        try:
            return await self._inbox.get()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def finish(self) -> None:
        """Called when the engine has stopped: as `end`, and for good."""
        self._finished = True
        self.end()

    # For the broker ------------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called by the broker with each event; keep it for the reader."""
        del topics
        self._inbox.add(event)

    def end(self) -> None:
        """Called when no further event comes; the iteration ends after those in the buffer."""
        self._inbox.close()


def check_buffer(buffer: int) -> None:
    """Make sure that so many events can wait for a reader.

    Raises:
        ValueError: The number is not positive.
    """
    if buffer < 1:
        msg = f"buffer must be a positive number of events, not {shown(buffer)}"
        raise ValueError(msg)
