"""The broker: topics, and the handlers that get what is dispatched in them.

Owns:   which handler listens to which topic, and the order of deliveries.
Source: 1.x `Broker`; there it called handlers in later turns of the loop and in no order.
"""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from .event import Event, sent_by
from .ports import lone_mailbox, loop_broker, loop_service
from .subscription import Subscription
from .task.current import calling_task, running_task
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .event import EventSource, Sender
    from .subscription import Handler
    from .task.mailbox import Mailbox
    from .workers import Serve

    # Who gets an event, in which topics, and the event of their own.
    Delivery = tuple["Receiver", tuple[str, ...], Event]

EXEC_TOPIC = "__exec_topic__"
"""The topic of execution events."""


engine_broker: ContextVar[Broker] = ContextVar("tukio_broker")
"""The broker of the engine whose `with` block this code is in."""


class Receiver(Protocol):
    """What the broker delivers to; hashable by identity."""

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Take an event that is the receiver's own, dispatched in some topics; must not wait."""
        ...

    def end(self) -> None:
        """Learn that it is in no topic any more, or that the broker is closed."""
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
        serve: Starts an async function in the background, under a name; it is what an engine has
            in place of a loop.

    Raises:
        EngineError: Neither was given, and asyncio is not running.

    Attributes:
        heard: Whether anybody listens to execution events; they are not even made if not.
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
        "heard",
    )

    def __init__(self, loop: Any = None, *, serve: Serve | None = None) -> None:
        self.heard: bool = False
        self._closed: bool = False
        # That of a loop is closed by nobody.
        is_closed = serve is not None
        self._workers: Workers = Workers(serve or loop_service(loop), stay=is_closed)
        # None stands for every topic but those of execution events.
        self._topics: dict[str | None, dict[Receiver, None]] = {}
        # Receiver -> in how many topics it is.
        self._receivers: dict[Receiver, int] = {}
        self._handlers: dict[Handler, Subscription] = {}
        self._outbox: deque[Delivery] = deque()
        self._sending: bool = False

    def register(self, handler: Handler, topic: str | None = None) -> None:
        """Have a handler called with each event of a topic.

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
        """Have a handler called no more, not even for what was dispatched before.

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
        """Let a receiver have the events of a topic; it may be in every topic and in some.

        Of a broker that is closed it gets none: it learns that at once.

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
        self.heard = self.heard or (topic is not None and is_exec_topic(topic))

    def detach(self, receiver: Receiver, topic: str | None) -> None:
        """Undo `attach`; nothing happens if the receiver is not in the topic."""
        receivers = self._topics.get(topic, {})
        if receiver not in receivers:
            return
        del receivers[receiver]
        if not receivers:
            del self._topics[topic]
            self.heard = any(name is not None and is_exec_topic(name) for name in self._topics)
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

    def announce(self, kind: str, content: Any, uid: str, sender: Sender) -> None:
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
        await self._workers.settle(anyio.current_time() + limit)
        self._closed = True
        for receiver in self._receivers:
            receiver.end()
        self._forget()

    def _forget(self) -> None:
        self._topics.clear()
        self._receivers.clear()
        self._handlers.clear()
        self.heard = False

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


def get_broker(loop: Any = None) -> Broker:
    """Return the broker that this code has to do with.

    Inside a task, or inside `async with Engine()`, that is the engine's. Elsewhere it is that of
    an asyncio event loop, which all engines share that are used on it as in 1.x.

    Args:
        loop: An asyncio event loop; None is the running one.

    Raises:
        EngineError: There is no such engine, no loop was given, and none is running.
    """
    if loop is None:
        task = running_task()
        if task is not None:
            return task.run.broker
        broker = engine_broker.get(None)
        if broker is not None:
            return broker
    return loop_broker(loop)


class TopicManager:
    """Within a task, have the events of a topic put into the task's queue.

    `with TopicManager("topic"):` does it for the block; `subscribe` and `unsubscribe` do it by
    hand. Both may be nested. What is still subscribed when the task ends is unsubscribed then.

    Args:
        topic: Which.
    """

    def __init__(self, topic: str, *, loop: Any = None) -> None:
        del loop
        self.topic: str = topic

    def __enter__(self) -> None:
        self.subscribe(self.topic)

    def __exit__(self, *exc_info: object) -> None:
        self.unsubscribe(self.topic)

    @staticmethod
    def subscribe(topic: str) -> None:
        """Have the events of a topic put into the queue of the calling task.

        Raises:
            EngineError: Not called from a task, or by something that has outlived its task.
            TypeError: The topic is no string.
        """
        if not isinstance(topic, str):
            msg = f"topic must be a string, not {type(topic).__name__}"
            raise TypeError(msg)
        _mailbox().subscribe(topic)

    @staticmethod
    def unsubscribe(topic: str) -> None:
        """Undo one `subscribe`; nothing happens if there was none.

        Raises:
            EngineError: Not called from a task.
        """
        _mailbox().unsubscribe(topic)


def _mailbox() -> Mailbox:
    """Return the mailbox of the calling task, in a workflow or outside."""
    task = running_task()
    mailbox = None if task is not None else lone_mailbox(get_broker)
    return calling_task().mailbox if mailbox is None else mailbox
