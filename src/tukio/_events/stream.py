"""Events as an async iterator: what `engine.subscribe` opens.

Owns:   the events that wait for the reader.
Knows:  the broker, which delivers them.
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
"""How many events wait for the reader before the oldest are dropped."""


class EventStream:
    """The events of some topics, in the order they happened.

    Senders never wait for a reader: when the buffer is full, the oldest event is dropped and
    counted, and a warning is logged once.

        async with engine.subscribe("a", "b") as events:
            async for event in events:
                ...

    The iteration ends with the engine, after the events that were dispatched until then: when the
    engine's block is left, or someone has awaited `stop()`.

    Args:
        broker: Returns where the events come from.
        topics: Which; none is every topic except the execution events.
        buffer: How many events wait for the reader.

    Raises:
        ValueError: `buffer` is not positive.
        TypeError: A topic is no string.
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
        self._broker: Callable[[], Broker] = broker
        self._topics: tuple[str | None, ...] = topics or (None,)
        self._inbox: Inbox = Inbox(buffer)

    @property
    def dropped(self) -> int:
        """How many events were dropped because the reader was too slow."""
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
        """Wait for the next event.

        Cancellation: no event is lost.
        """
        try:
            return await self._inbox.get()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    # For the broker ----------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Keep an event for the reader."""
        del topics
        self._inbox.put_nowait(event)

    def end(self) -> None:
        """End the iteration after what is in the buffer."""
        self._inbox.close()
