"""Events as an async iterator; `engine.subscribe` returns one.

Owns:   the events that wait for the reader.
Knows:  the broker, which delivers these events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio

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
    engine.stop()` returns. Events that were dispatched before are still returned.

    Args:
        broker: Returns the broker that the events come from.
        topics: The topics; none is every topic except the execution events.
        buffer: The number of events that may wait for the reader.

    Raises:
        ValueError: `buffer` is not positive.
        TypeError: A topic is not a string.
    """

    def __init__(
        self, broker: Callable[[], Broker], topics: tuple[str, ...], buffer: int = BUFFER
    ) -> None:
        if buffer < 1:
            msg = f"buffer must be a positive number of events, not {buffer!r}"
            raise ValueError(msg)
        for topic in topics:
            if not isinstance(topic, str):
                msg = f"a topic must be a string, not {topic!r}"
                raise TypeError(msg)
        # Asked for each time, because an engine may replace its broker until it is bound to a loop.
        self._broker: Callable[[], Broker] = broker
        # Never empty; None stands for every topic.
        self._topics: tuple[str | None, ...] = topics or (None,)
        # Filled only by the broker, and emptied only by the reader; closed by `end`.
        self._inbox: Inbox = Inbox(buffer)

    @property
    def dropped(self) -> int:
        """The number of events that were dropped because the reader was too slow."""
        return self._inbox.dropped

    async def __aenter__(self) -> Self:
        for topic in self._topics:
            self._broker().attach(self, topic)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for topic in self._topics:
            self._broker().detach(self, topic)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; wait until there is one.

        Cancellation: no event is lost.
        """
        try:
            return await self._inbox.get()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    # For the broker ------------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called by the broker with each event; keep it for the reader."""
        del topics
        self._inbox.put_nowait(event)

    def end(self) -> None:
        """Called when no further event will come; the iteration ends after those in the buffer."""
        self._inbox.close()
