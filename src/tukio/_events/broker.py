"""The broker: topics, and the handlers that get what is dispatched in them.

Owns:   which handler listens to which topic, and the order of deliveries.
Source: 1.x `Broker`; there it called handlers in later turns of the loop and in no order.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from .._loop.services import service_on
from .._model.event import Event, sent_by
from .subscription import Subscription
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .._model.event import EventSource, Sender
    from .subscription import Handler
    from .workers import StartService

    # Who gets an event, in which topics, and the event of their own.
    Delivery = tuple["Receiver", tuple[str, ...], Event]

EXEC_TOPIC = "__exec_topic__"
"""The topic of execution events."""


class Receiver(Protocol):
    """What the broker delivers to; hashable by identity."""

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Take an event that is the receiver's own, dispatched in some topics; must not wait."""
        ...

    def end(self) -> None:
        """Called when it is in no topic any more, or when the broker is closed."""
        ...


def workflow_exec_topics(uid: str) -> tuple[str, str]:
    """Return the topics that the execution events of one run are dispatched in."""
    return EXEC_TOPIC, f"{EXEC_TOPIC}/{uid}"


def is_exec_topic(topic: str) -> bool:
    """Return whether a topic is one of execution events."""
    return topic == EXEC_TOPIC or topic.startswith(f"{EXEC_TOPIC}/")


class Broker:
    """Dispatches data in topics to the handlers registered there.

    That of an engine is `engine.broker`. One made by itself, as in 1.x, is for a workflow without
    an engine, on asyncio.

    Args:
        loop: An asyncio event loop, where async handlers run; None is the running one.
        start_service: Starts an async function in the background, under a name; an engine has
            this in place of a loop.

    Raises:
        EngineError: Neither was given, and asyncio is not running.

    Attributes:
        has_listeners: Whether anybody listens to execution events; they are not even made if not.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_handlers",
        "_outbox",
        "_receivers",
        "_sending",
        "_topics",
        "_workers",
        "has_listeners",
    )

    def __init__(self, loop: Any = None, *, start_service: StartService | None = None) -> None:
        self.has_listeners: bool = False
        self._closed: bool = False
        # That of a loop is closed by nobody.
        is_closed = start_service is not None
        self._workers: Workers = Workers(start_service or service_on(loop), stay=is_closed)
        # None stands for every topic but those of execution events.
        self._topics: dict[str | None, dict[Receiver, None]] = {}
        # Receiver -> in how many topics it is.
        self._receivers: dict[Receiver, int] = {}
        self._handlers: dict[Handler, Subscription] = {}
        self._outbox: deque[Delivery] = deque()
        self._sending: bool = False

    def register(self, handler: Handler, topic: str | None = None) -> None:
        """Call a handler with each event of a topic.

        Args:
            handler: Called with an `Event` of its own, sync or async. An async one is awaited
                later, in a copy of the sender's context, for one event after the other; it holds
                up nobody else. A handler that raises is logged, and harms nobody else.
            topic: None is every topic, except the execution events.

        Raises:
            TypeError: It is not callable, or the topic is no string.
            ValueError: It is registered for every topic already, or for some and now for every.
        """
        if not callable(handler):
            msg = f"{handler!r} is not callable - register a function or a coroutine function"
            raise TypeError(msg)
        subscription = self._handlers.get(handler)
        if subscription is None:
            subscription = Subscription(handler, self._workers)
        elif (topic is None) is not (subscription in self._topics.get(None, ())):
            already = "with topics" if topic is None else "as global handler"
            msg = f"{handler!r} already registered {already} - unregister it there first"
            raise ValueError(msg)
        self.attach(subscription, topic)
        self._handlers[handler] = subscription

    def unregister(self, handler: Handler, topic: str | None = None) -> None:
        """Call a handler no more, not even with what was dispatched before.

        Raises:
            KeyError: It is not registered there.
        """
        subscription = self._handlers.get(handler)
        if subscription is None or subscription not in self._topics.get(topic, ()):
            where = "every topic" if topic is None else f"topic {topic!r}"
            msg = f"{handler!r} is not registered for {where}"
            raise KeyError(msg)
        self.detach(subscription, topic)
        if subscription not in self._receivers:
            del self._handlers[handler]
        else:
            subscription.drop(lambda topics: not self._listens(subscription, topics))

    def attach(self, receiver: Receiver, topic: str | None) -> None:
        """Add a receiver to a topic (None: every topic); it may be in every topic and in some.

        A broker that is closed has no events any more, and says so at once: it calls `end`.

        Raises:
            TypeError: The topic is neither a string nor None. Nothing changes.
        """
        if topic is not None and not isinstance(topic, str):
            msg = f"topic must be a string or None, not {type(topic).__name__}"
            raise TypeError(msg)
        if self._closed:
            receiver.end()
            return
        receivers = self._topics.setdefault(topic, {})
        if receiver in receivers:
            return
        receivers[receiver] = None
        self._receivers[receiver] = self._receivers.get(receiver, 0) + 1
        self.has_listeners = self.has_listeners or (topic is not None and is_exec_topic(topic))

    def detach(self, receiver: Receiver, topic: str | None) -> None:
        """Undo `attach`; nothing happens if the receiver is not in the topic."""
        receivers = self._topics.get(topic, {})
        if receiver not in receivers:
            return
        del receivers[receiver]
        if not receivers:
            del self._topics[topic]
            self.has_listeners = any(
                name is not None and is_exec_topic(name) for name in self._topics
            )
        self._receivers[receiver] -= 1
        if not self._receivers[receiver]:
            del self._receivers[receiver]
            receiver.end()
        if self._outbox:
            # Called by a handler: what this one was still to get is not delivered any more.
            kept = [delivery for delivery in self._outbox if self._listens(*delivery[:2])]
            self._outbox = deque(kept)

    def take_over(self, other: Broker) -> None:
        """Let those who are registered with another broker be registered here instead."""
        own: dict[Receiver, Receiver] = {
            subscription: self._handlers.setdefault(handler, subscription)
            for handler, subscription in other._handlers.items()
        }
        for topic, receivers in other._topics.items():
            for receiver in receivers:
                self.attach(own.get(receiver, receiver), topic)
        other._workers.stay = self._workers.stay
        other._forget()

    def dispatch(
        self,
        data: dict[str, Any] | Event,
        topics: str | Iterable[str] | None = None,
        source: EventSource | None = None,
    ) -> None:
        """Hand data to the handlers of some topics, and to those of every topic.

        Each handler is called once, with an event and a dict of its own. Those of every topic
        come first, then topic by topic in the order they were registered.

        Args:
            data: A dict, or an event, which keeps its own topic and source.
            topics: One, several or none.
            source: Who sends it; None for someone outside.

        Raises:
            ValueError: `data` is neither a dict nor an Event.
            TypeError: `topics` is neither a string nor an iterable of strings.
        """
        if isinstance(topics, str):
            topics = (topics,)
        event = data if isinstance(data, Event) else Event(data, topics, source)
        names = tuple(topics or ())
        for name in names:
            if not isinstance(name, str):
                msg = f"topics must be strings, not {name!r}"
                raise TypeError(msg)
        if not self._topics:
            return
        receivers = dict(self._topics.get(None, ()))
        for topic in names:
            receivers |= self._topics.get(topic, {})
        self._outbox += [
            (receiver, names, Event(event, event.topic, event.source)) for receiver in receivers
        ]
        self._send()

    def emit_exec_event(self, kind: str, content: Any, uid: str, sender: Sender) -> None:
        """Dispatch an execution event of one run, to those who listen to such events.

        Args:
            kind: The `type` in the event's data.
            content: The `content`; a dict is copied for each receiver.
            uid: The run.
            sender: Who is asked for the source when someone looks at it.
        """
        topics = workflow_exec_topics(uid)
        receivers: dict[Receiver, None] = {}
        for topic in topics:
            receivers |= self._topics.get(topic, {})
        for receiver in receivers:
            own = dict(content) if isinstance(content, dict) else content
            event = sent_by(sender, {"type": kind, "content": own}, topics)
            self._outbox.append((receiver, topics, event))
        self._send()

    async def close(self, limit: float) -> None:
        """Let async handlers deal with what was dispatched to them, then forget all handlers.

        Args:
            limit: Seconds after which those still at it are cut.
        """
        await self._workers.drain(anyio.current_time() + limit)
        self._closed = True
        for receiver in self._receivers:
            receiver.end()
        self._forget()

    def _forget(self) -> None:
        self._topics.clear()
        self._receivers.clear()
        self._handlers.clear()
        self.has_listeners = False

    def _send(self) -> None:
        """Deliver what is in the outbox.

        A handler that dispatches adds to the outbox: so everybody gets events in the order they
        happened.
        """
        if self._sending:
            return
        self._sending = True
        try:
            while self._outbox:
                receiver, topics, event = self._outbox.popleft()
                receiver.deliver(event, topics)
        finally:
            self._sending = False

    def _listens(self, receiver: Receiver, topics: Iterable[str]) -> bool:
        return any(receiver in self._topics.get(topic, ()) for topic in (None, *topics))
