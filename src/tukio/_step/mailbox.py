"""The mailbox of one step: events of topics, and the data of further parents.

Owns:   the queue of the task, the topics that feed the queue, and the parents that the task waits
        for.
Knows:  the broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._events.queue import Inbox
from .._model.display import shown
from .._model.errors import EngineError
from .._model.event import Event, sent_by
from .._model.listen import Listen
from .parents import Parents

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .._events.broker import Broker
    from .._model.step import Step
    from .._model.task_template import TaskTemplate


class Listener(Protocol):
    """A task that has a mailbox."""

    @property
    def broker(self) -> Broker:
        """The broker that the task's topics are from."""
        ...


class Mailbox:
    """The mailbox of a task; made on first use.

    Args:
        task: The task.
        check: Makes sure that the caller runs where the task does, or raises.

    Attributes:
        queue: The events that the task has not read yet; never replaced.
    """

    __slots__ = ("_closed", "_parents", "_task", "_topics", "queue")

    def __init__(self, task: Listener, check: Callable[[], object]) -> None:
        self.queue: Inbox = Inbox(check=check)
        self._task: Listener = task
        # Set by `close` when the task is over, and never set back.
        self._closed: bool = False
        # Takes the data of further parents from `parents_of` on; before, the queue does.
        self._parents: Parents | None = None
        # Topic -> the number of its subscriptions, which is always positive. The mailbox is
        # attached to the broker exactly for these topics.
        self._topics: dict[str | None, int] = {}

    @property
    def topics(self) -> list[str | None]:
        """The topics that are subscribed to; None among them is every topic."""
        return list(self._topics)

    def subscribe(self, topic: str | None) -> None:
        """Put the events of a topic into the queue, until the task is over.

        A topic may be subscribed to several times, and must then be unsubscribed from as often.

        Args:
            topic: The topic; None is every topic, except the execution events.

        Raises:
            TypeError: The topic is neither a string nor None.
            EngineError: The task is over. Nothing changes.
        """
        if self._closed:
            msg = f"the task is over, and gets nothing in topic {shown(topic)} any more"
            raise EngineError(msg)
        self._task.broker.attach(self, topic)
        self._topics[topic] = self._topics.get(topic, 0) + 1

    def subscribe_as(self, template: TaskTemplate) -> None:
        """Subscribe to the topics that the task's template names.

        Raises:
            TypeError: `topics` of the template is not a list of topics. Some may be subscribed to.
        """
        # Before the loop, because a text would be taken for a list of letters there.
        everything = template.listen is Listen.everything
        for topic in (None,) if everything else template.topics or ():
            self.subscribe(topic)

    def unsubscribe(self, topic: str | None) -> None:
        """Undo one `subscribe`; nothing happens if there was none."""
        if topic not in self._topics:
            return
        self._topics[topic] -= 1
        if not self._topics[topic]:
            del self._topics[topic]
            self._task.broker.detach(self, topic)

    def close(self) -> None:
        """Called when the task is over: unsubscribe from all topics, for good."""
        self._closed = True
        for topic in self._topics:
            self._task.broker.detach(self, topic)
        self._topics.clear()

    def parents_of(self, step: Step, among: Collection[str] | None, *, others: bool) -> Parents:
        """Return the parents of the step as they arrive; from now on, none goes to the queue.

        Args:
            step: The step of this mailbox.
            among: Ids of the parents to wait for; None is all.
            others: Whether other parents are returned, too, if they arrive meanwhile.
        """
        self._parents = Parents(step, among, others=others)
        return self._parents

    def receive(self, data: dict[str, Any], parent: Any) -> None:
        """Called when a further parent passes data on to the task."""
        if self._parents is not None:
            self._parents.arrive(parent, data)
        else:
            self.queue.add(sent_by(parent, data))

    def give_up_on(self, number: int) -> None:
        """Called when a parent, given by its number, will not arrive any more."""
        if self._parents is not None:
            self._parents.give_up_on(number)

    # For the broker ------------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Called by the broker with each event; put it into the queue."""
        del topics
        self.queue.add(event)

    def end(self) -> None:
        """Called when no topic is subscribed to any more; parents may still arrive."""
