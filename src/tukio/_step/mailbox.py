"""What one step receives while it runs: events of topics, and the data of further parents.

Owns:   the task's queue, the topics that feed it, and the parents it waits for.
Knows:  the broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._events.queue import Inbox
from .._model.errors import EngineError
from .._model.event import Event, sent_by
from .._model.task_template import Listen
from .parents import Parents

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._events.broker import Broker
    from .._model.plan import Step
    from .._model.task_template import TaskTemplate


class Listener(Protocol):
    """A task that has a mailbox."""

    @property
    def broker(self) -> Broker:
        """Where the events of topics come from."""
        ...


class Mailbox:
    """The mailbox of a task; made when something is put in or someone looks.

    Args:
        task: The task.

    Attributes:
        queue: The events, in the order they came.
    """

    __slots__ = ("_closed", "_parents", "_task", "_topics", "queue")

    def __init__(self, task: Listener) -> None:
        self.queue: Inbox = Inbox()
        self._task: Listener = task
        self._closed: bool = False
        self._parents: Parents | None = None
        # Topic -> how often it was subscribed to.
        self._topics: dict[str | None, int] = {}

    def subscribe(self, topic: str | None) -> None:
        """Have the events of a topic put into the queue until the step ends.

        It may be said several times, and has to be undone as often.

        Args:
            topic: None is every topic, except the execution events.

        Raises:
            TypeError: The topic is neither a string nor None.
            EngineError: The task is over. Nothing changes.
        """
        if self._closed:
            msg = f"the task is over, and gets nothing in topic {topic!r} any more"
            raise EngineError(msg)
        self._task.broker.attach(self, topic)
        self._topics[topic] = self._topics.get(topic, 0) + 1

    def subscribe_as(self, template: TaskTemplate) -> None:
        """Subscribe to the topics that a template names.

        Raises:
            TypeError: They are no topics. Some of them may be subscribed to.
        """
        # Looked at first: a text would be taken for a list of letters.
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
        """Unsubscribe from everything, for good."""
        self._closed = True
        for topic in self._topics:
            self._task.broker.detach(self, topic)
        self._topics.clear()

    def parents_of(self, step: Step, among: Collection[str] | None, *, others: bool) -> Parents:
        """Return the parents of the step as they arrive; from now on, they leave the queue out."""
        self._parents = Parents(step, among, others=others)
        return self._parents

    def receive(self, data: dict[str, Any], parent: Any) -> None:
        """Take the data of a late parent."""
        if self._parents is not None:
            self._parents.arrive(parent, data)
        else:
            self.queue.put_nowait(sent_by(parent, data))

    def give_up_on(self, number: int) -> None:
        """Called when a parent will not arrive any more."""
        if self._parents is not None:
            self._parents.give_up_on(number)

    # For the broker ------------------------------------------------------------------------------

    def deliver(self, event: Event, topics: Collection[str]) -> None:
        """Put an event into the queue."""
        del topics
        self.queue.put_nowait(event)

    def end(self) -> None:
        """Called when no topic is subscribed to any more; parents may still come."""
