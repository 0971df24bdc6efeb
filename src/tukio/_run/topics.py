"""The broker of the calling code, and the topics of the calling task.

Owns:   the context variable of an engine's broker.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .._events.loop_broker import loop_broker
from .._loop.running import native_task
from .._step.surroundings import here, running_step

if TYPE_CHECKING:
    from .._events.broker import Broker
    from .._step.mailbox import Mailbox
    from .._step.step import LiveStep

engine_broker: ContextVar[tuple[Broker, LiveStep | None]] = ContextVar("tukio_broker")
"""The broker of the engine whose `with` block this code is in, and the step that the block is in.

A block within the calling step is further in than the step; any other block is further out.
"""


def get_broker(loop: Any = None) -> Broker:
    """Return the broker of the calling code.

    Inside a task, or inside `async with Engine()`, that is the engine's. Elsewhere it is that of
    an asyncio event loop, which all engines share that are used on it as in 1.x.

    Args:
        loop: An asyncio event loop; None is the running one.

    Raises:
        EngineError: There is no such engine, no loop was given, and none is running.
    """
    if loop is None:
        step = running_step()
        broker, around = engine_broker.get((None, None))
        if broker is not None and around is step:
            return broker
        if step is not None:
            return step.broker
    return loop_broker(loop)


class TopicManager:
    """A subscription of a task: the events of a topic land in the queue of the task.

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
        """Subscribe the calling task to a topic: its events land in the queue of the task.

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
    if running_step() is None:
        # A registered task by itself is an asyncio task that has one.
        standalone = getattr(native_task(), "standalone_mailbox", None)
        mailbox: Mailbox | None = None if standalone is None else standalone(get_broker())
        if mailbox is not None:
            return mailbox
    return here()[0].mailbox
