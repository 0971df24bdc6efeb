"""Who listens: the receivers of each topic, and what is called in place with execution events.

Owns:   which receiver is in which topic, and whether anybody wants execution events.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

from .exec_topics import is_exec_topic
from .taps import Tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._model.event import Event
    from .receiver import Receiver

    # A receiver, the topics of an event, the receiver's own event, the age of the broker then.
    Delivery = tuple[Receiver, tuple[str, ...], Event, int]


class Listeners:
    """The receivers of a broker, by topic.

    Attributes:
        has_listeners: True exactly while a receiver is in a topic of execution events, or there is
            a tap. While it is False, runs do not tell of anything. Only the broker changes it.
        taps: What is called in place with each execution event, in the order they were made.
        serves: A weak reference to the engine that the receivers are for; None if there is none.
    """

    __slots__ = (
        "_age",
        "_closed",
        "_exec_topics",
        "_outbox",
        "_receivers",
        "_topics",
        "has_listeners",
        "serves",
        "taps",
    )

    def __init__(self, serves: Callable[[], Any] | None) -> None:
        self.serves: Callable[[], Any] | None = serves
        self.has_listeners: bool = False
        self.taps: dict[Tap, None] = {}
        # Set by `close`, and never set back. No receiver can be attached from then on.
        self._closed: bool = False
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
        # Deliveries that are still to be made, in the order in which their events were dispatched.
        # Always empty unless `_send` is running, or a receiver has ended it by an exception.
        self._outbox: deque[Delivery] = deque()

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
                self._look_for_listeners()
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

    def tap(self, function: Callable[..., object]) -> Tap:
        """Call a function in place with each execution event, until the tap is closed."""
        tap = Tap(function, self)
        if not self._closed:
            self.add_tap(tap)
        return tap

    def add_tap(self, tap: Tap) -> None:
        """Call a tap with each execution event from now on."""
        tap.move_to(self)
        self.taps[tap] = None
        self.has_listeners = True

    def forget_tap(self, tap: Tap) -> None:
        """Undo `add_tap`; nothing happens if the tap is not here."""
        self.taps.pop(tap, None)
        self._look_for_listeners()

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

    def _look_for_listeners(self) -> None:
        self.has_listeners = self._exec_topics > 0 or bool(self.taps)
