"""The broker: topics, and the handlers that receive the events dispatched in them.

Owns:   the subscription of each handler, and the order of deliveries.
Source: 1.x `Broker`, which called handlers in later turns of the loop and in no order. This broker
        calls them at once, in a fixed order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from .._loop.services import OnLoop
from .._model.display import shown
from .._model.event import Event, own_data, sent_by
from .exec_topics import workflow_exec_topics
from .listeners import Listeners
from .subscription import Subscription
from .workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._loop.services import Host
    from .._model.event import EventSource, Sender
    from .receiver import Receiver
    from .subscription import Handler


class Broker(Listeners):
    """Dispatches data in topics to the handlers registered there.

    The broker of an engine is `engine.broker`. A broker made by itself, as in 1.x, is for a
    workflow without an engine, on asyncio. No other event loop or thread may use it.

    Args:
        loop: The asyncio event loop that async handlers run on; None is the running one.
        owner: The engine that the broker is for; it passes this instead of a loop.

    Raises:
        EngineError: Neither argument was given, and asyncio is not running.
    """

    __slots__ = ("__weakref__", "_check", "_handlers", "_sending", "_workers")

    def __init__(self, loop: Any = None, *, owner: Host | None = None) -> None:
        # Only the broker of an engine is closed. The broker of a loop never is, so its workers may
        # not stay: nothing would ever wait for them.
        is_closed = owner is not None
        owner = owner or OnLoop(loop)
        super().__init__(owner.serves)
        # Makes sure that the caller runs where the broker does.
        self._check: Callable[[], object] = owner.check
        self._workers: Workers = Workers(owner, stay=is_closed)
        # Handler -> its subscription, which is always in at least one topic while the broker is
        # open.
        self._handlers: dict[Handler, Subscription] = {}
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
            EngineError: Called from another event loop or thread. Nothing changes.
            TypeError: The handler is not callable, or the topic is neither a string nor None.
            ValueError: The handler is registered for every topic already, or it is registered for
                some topics and is now to be registered for every topic.
        """
        if not callable(handler):
            msg = f"{shown(handler)} is not callable - register a function or a coroutine function"
            raise TypeError(msg)
        self._check()
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
            EngineError: Called from another event loop or thread. Nothing changes.
            KeyError: The handler is not registered for this topic.
        """
        self._check()
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
        for tap in other.taps:
            self.add_tap(tap)
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
            EngineError: Called from another event loop or thread. Nothing is delivered.
            ValueError: `data` is neither a dict nor an Event.
            TypeError: `topics` is neither a string nor an iterable of strings.
        """
        # First: a receiver that waits there would not wake, or not for this event.
        self._check()
        if isinstance(topics, str):
            topics = (topics,)
        event = data if isinstance(data, Event) else Event(data, topics, source)
        names = tuple(topics or ())
        for name in names:
            if not isinstance(name, str):
                msg = f"topics must be strings, not {shown(name)}"
                raise TypeError(msg)
        self.send(event, names)

    def send(self, event: Event, topics: tuple[str, ...]) -> None:
        """Deliver an event, as `dispatch`, from where the broker runs."""
        if not self._topics:
            return
        # A dict, so that a receiver in several of the topics gets the event only once.
        receivers = dict(self._topics.get(None, ()))
        for topic in topics:
            receivers |= self._topics.get(topic, {})
        self._outbox += [
            (receiver, topics, Event(event, event.topic, event.source), self._age)
            for receiver in receivers
        ]
        self._send()

    def emit_exec_event(
        self, kind: str, content: Any, uid: str, sender: Sender, moment: tuple[int, float, Any]
    ) -> None:
        """Dispatch an execution event of one run to the receivers of such events.

        Args:
            kind: The `type` in the event's data.
            content: The `content` in the event's data; a dict is copied for each receiver.
            uid: The execution id of the run.
            sender: Gives the source of the event, when a receiver reads it.
            moment: The number of the event in its run, its instant, and what makes a time of that.
        """
        topics = workflow_exec_topics(uid)
        receivers: dict[Receiver, int] = {}
        for topic in topics:
            receivers |= self._topics.get(topic, {})
        for receiver in receivers:
            event = sent_by(sender, {"type": kind, "content": own_data(content)}, topics)
            event._moment = moment
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
        for table in (self._topics, self._receivers, self._handlers, self.taps):
            table.clear()
        self._exec_topics = 0
        self._look_for_listeners()

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
