"""Which events are for a workflow or a task: the meaning of `topics`."""

from __future__ import annotations

import enum
from typing import Any


class Listen(enum.Enum):
    """Which events trigger a workflow, or are put into the queue of a task.

    Attributes:
        everything: Events of any topic, and events without a topic (`topics` is None).
        nothing: No events (`topics` is []).
        topics: Events of the listed topics.
    """

    everything = "everything"
    nothing = "nothing"
    topics = "topics"

    @classmethod
    def get(cls, topics: list[str] | None) -> Listen:
        """Return the meaning of a `topics` field.

        Raises:
            TypeError: The field is neither None nor a list.
        """
        if topics is None:
            return cls.everything
        if not isinstance(topics, list):
            msg = f"'{topics}' is not a list"
            raise TypeError(msg)
        return cls.topics if topics else cls.nothing


def own_topics(topics: Any) -> Any:
    """Return a copy of a list of topics; any other object is kept for `validate` to report."""
    return topics.copy() if isinstance(topics, list) else topics
