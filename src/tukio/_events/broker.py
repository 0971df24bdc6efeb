"""The broker: topics, and the handlers that receive the events dispatched in them.

Owns:   which handler listens to which topic, and the order of deliveries.
Source: 1.x `Broker`, which called handlers in later turns of the loop and in no order. This broker
        calls them at once, in a fixed order.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from .._loop.services import service_on
from .._model.display import shown
from .._model.event import Event, own_data, sent_by
from .subscription import Subscription
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .._model.event import EventSource, Sender
    from .subscription import Handler
    from .workers import StartService

    # The receiver, the topics that the event was dispatched in, the receiver's own event, and the
    # age of the broker then.
    Delivery = tuple["Receiver", tuple[str, ...], Event, int]

EXEC_TOPIC = "__exec_topic__"
"""The topic of execution events."""


class Receiver(Protocol):
    """Anything that the broker delivers events to; hashable by identity."""

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called with each event of the receiver's topics; must not block.

        Args:
            event: An event that no other receiver is given.
            topics: The topics that the event was dispatched in.
        """
        ...

    def end(self) -> None:
        """Called when the receiver is in no topic any more, or when the broker is closed."""
        ...


def workflow_exec_topics(uid: str) -> tuple[str, str]:
    """Return the topics that the execution events of one run are dispatched in."""
    return EXEC_TOPIC, f"{EXEC_TOPIC}/{uid}"


def is_exec_topic(topic: str) -> bool:
    """Return whether a topic is one of execution events."""
    return topic == EXEC_TOPIC or topic.startswith(f"{EXEC_TOPIC}/")


class Broker:
    """Dispatches data in topics to the handlers registered there.

    The broker of an engine is `engine.broker`. A broker made by itself, as in 1.x, is for a
    workflow without an engine, on asyncio.

    Args:
        loop: The asyncio event loop that async handlers run on; None is the running one.
        start_service: Starts an async function in the background, under a name. An engine passes
            this instead of a loop.

    Raises:
        EngineError: Neither argument was given, and asyncio is not running.

    Attributes:
        has_listeners: True exactly while a receiver is in a topic of execution events. While it is
            False, runs do not make execution events at all. Only the broker changes it.
    """

    __slots__ = (
        "__weakref__",
        "_age",
        "_closed",
        "_exec_topics",
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
        # Set by `close`, and never set back. No receiver can be attached from then on.
        self._closed: bool = False
        # Only the broker of an engine is closed. The broker of a loop never is, so its workers may
        # not stay: nothing would ever wait for them.
        is_closed = start_service is not None
        self._workers: Workers = Workers(start_service or service_on(loop), stay=is_closed)
        # Topic -> its receivers, in the order they were attached, each with the age of the broker
        # then. A topic without receivers is always removed. None stands for every topic but those
        # of execution events.
        self._topics: dict[str | None, dict[Receiver, int]] = {}
        # The number of topics of execution events that are in `_topics`.
        self._exec_topics: int = 0
        # Grows whenever a receiver is detached while deliveries are still to be made. Those that
        # are older than this are looked at before they are made.
        self._age: int = 0
        # Receiver -> the number of its topics, which is always positive: a receiver without topics
        # is removed, and told so by `end`.
        self._receivers: dict[Receiver, int] = {}
        # Handler -> its subscription, which is always in at least one topic while the broker is
        # open.
        self._handlers: dict[Handler, Subscription] = {}
        # Deliveries that are still to be made, in the order in which their events were dispatched.
        # Always empty unless `_send` is running, or a receiver has ended it by an exception.
        self._outbox: deque[Delivery] = deque()
        # True exactly while `_send` is on the stack, that is, while a receiver may be running.
        self._sending: bool = False

    def register(self, handler: Handler, topic: str | None = None) -> None:
        """Call a handler with each event of a topic.

        Args:
            handler: A sync or async function, called with an `Event` of its own. The call of an
                async handler is awaited later, in a copy of the sender's context, one event after
                the other; a slow handler delays no other handler. An exception that a handler
                raises is logged, and affects no other handler.
            topic: None is every topic, except the execution events.

        Raises:
            TypeError: The handler is not callable, or the topic is neither a string nor None.
            ValueError: The handler is registered for every topic already, or it is registered for
                some topics and is now to be registered for every topic.
        """
        if not callable(handler):
            msg = f"{shown(handler)} is not callable - register a function or a coroutine function"
            raise TypeError(msg)
        subscription = self._handlers.get(handler)
        if subscription is None:
            subscription = Subscription(handler, self._workers)
        elif (topic is None) is not (subscription in self._topics.get(None, ())):
            already = "with topics" if topic is None else "as global handler"
            msg = f"{shown(handler)} already registered {already} - unregister it there first"
            raise ValueError(msg)
        self.attach(subscription, topic)
        self._handlers[handler] = subscription

    def unregister(self, handler: Handler, topic: str | None = None) -> None:
        """Stop calling a handler with the events of a topic, those dispatched before included.

        Raises:
            KeyError: The handler is not registered for this topic.
        """
        subscription = self._handlers.get(handler)
        if subscription is None or subscription not in self._topics.get(topic, ()):
            where = "every topic" if topic is None else f"topic {shown(topic)}"
            msg = f"{shown(handler)} is not registered for {where}"
            raise KeyError(msg)
        self.detach(subscription, topic)
        if subscription not in self._receivers:
            # `detach` has ended it, which closed the calls that waited.
            del self._handlers[handler]
        elif topic is not None:
            # Other topics remain, so only the calls that none of these is a reason for are dropped.
            subscription.drop(topic, lambda topics: not self._listens(subscription, topics))

    def attach(self, receiver: Receiver, topic: str | None) -> None:
        """Add a receiver to a topic (None: every topic).

        A receiver may be in every topic and in some topics at the same time. A closed broker adds
        nothing, and calls `end` of the receiver at once.

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
            # Counted once per topic, as `detach` takes one topic back.
            return
        if not receivers and topic is not None and is_exec_topic(topic):
            self._exec_topics += 1
            self.has_listeners = True
        receivers[receiver] = self._age
        self._receivers[receiver] = self._receivers.get(receiver, 0) + 1

    def detach(self, receiver: Receiver, topic: str | None) -> None:
        """Undo `attach`; nothing happens if the receiver is not in the topic."""
        receivers = self._topics.get(topic, {})
        if receiver not in receivers:
            return
        del receivers[receiver]
        if not receivers:
            del self._topics[topic]
            if topic is not None and is_exec_topic(topic):
                self._exec_topics -= 1
                self.has_listeners = self._exec_topics > 0
        if self._outbox:
            # A handler has called this. Deliveries still to be made to the detached receiver are
            # dropped when their turn comes, because a handler is never called after it was
            # unregistered.
            self._age += 1
        self._receivers[receiver] -= 1
        if not self._receivers[receiver]:
            # Before `end` is called, which may look at the broker.
            del self._receivers[receiver]
            receiver.end()

    def take_over(self, other: Broker) -> None:
        """Move all receivers of another broker to this one.

        A handler that is registered with both keeps the subscription that it has here.
        """
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
        """Deliver data to the receivers of some topics, and to those of every topic.

        Each receiver gets it once, as an event with a dict of its own. The receivers of every topic
        come first, then those of each topic, always in the order in which they were attached.

        Args:
            data: A dict, or an event, which keeps its own topic and source.
            topics: One topic, several topics or none.
            source: The sender; None stands for a sender outside tukio.

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
                msg = f"topics must be strings, not {shown(name)}"
                raise TypeError(msg)
        if not self._topics:
            return
        # A dict, so that a receiver in several of the topics gets the event only once.
        receivers = dict(self._topics.get(None, ()))
        for topic in names:
            receivers |= self._topics.get(topic, {})
        self._outbox += [
            (receiver, names, Event(event, event.topic, event.source), self._age)
            for receiver in receivers
        ]
        self._send()

    def emit_exec_event(self, kind: str, content: Any, uid: str, sender: Sender) -> None:
        """Dispatch an execution event of one run to the receivers of such events.

        Args:
            kind: The `type` in the event's data.
            content: The `content` in the event's data; a dict is copied for each receiver.
            uid: The execution id of the run.
            sender: Gives the source of the event, when a receiver reads it.
        """
        topics = workflow_exec_topics(uid)
        receivers: dict[Receiver, int] = {}
        for topic in topics:
            receivers |= self._topics.get(topic, {})
        for receiver in receivers:
            event = sent_by(sender, {"type": kind, "content": own_data(content)}, topics)
            self._outbox.append((receiver, topics, event, self._age))
        self._send()

    async def close(self, limit: float) -> None:
        """Wait until async handlers have processed what was dispatched to them, then detach all.

        Args:
            limit: Seconds after which handlers that are still running are cancelled.
        """
        # Still open meanwhile: what a handler dispatches now is delivered like anything else.
        await self._workers.drain(anyio.current_time() + limit)
        # Before any receiver is told, because none may be attached from `end`.
        self._closed = True
        for receiver in self._receivers:
            receiver.end()
        self._forget()

    def _forget(self) -> None:
        self._topics.clear()
        self._receivers.clear()
        self._handlers.clear()
        self._exec_topics = 0
        self.has_listeners = False

    def _send(self) -> None:
        """Make the deliveries in the outbox.

        A handler that dispatches only adds to the outbox, so all receivers always get events in the
        order in which these were dispatched.
        """
        if self._sending:
            # Called by a receiver: the loop below, further up the stack, makes these deliveries.
            return
        self._sending = True
        try:
            while self._outbox:
                receiver, topics, event, age = self._outbox.popleft()
                if age < self._age and not self._listens(receiver, topics, age):
                    continue
                receiver.deliver(event, topics)
        finally:
            self._sending = False
            if self._outbox:
                # A handler has ended the program: the others are told all the same.
                self._send()

    def _listens(self, receiver: Receiver, topics: Iterable[str], age: float = math.inf) -> bool:
        """Return whether a receiver is in one of some topics, or in every topic.

        Args:
            receiver: The receiver.
            topics: The topics.
            age: The age of the broker at which it must have been there already.
        """
        if receiver not in self._receivers:
            # Most of those that are asked about have just left the last of their topics.
            return False
        inside = (self._topics.get(topic, {}).get(receiver) for topic in (None, *topics))
        return any(since is not None and since <= age for since in inside)
