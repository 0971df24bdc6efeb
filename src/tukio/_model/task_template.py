"""The template of one task of a workflow, as an object and as data.

Owns:   the fields of a task template, its dict form, and the meaning of `topics`.
Source: 1.x `TaskTemplate`, which dropped keys of the user's own; here they are kept.
"""

from __future__ import annotations

import enum
import importlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import uuid4

from .validation import TASK_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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


class TaskTemplate:
    """One task of a workflow: which registered task is run, and how.

    Args:
        name: The name of a registered task.
        uid: The id of the task within the workflow; None makes a new one.
        config: The argument of the task's holder class, which gets a deep copy for each run; None
            is {}.
        timeout: Seconds that the task may take; None or 0 is no limit.
        topics: The topics whose events are put into the queue of the task while it runs. None is
            every topic; by default there are none.

    Attributes:
        extra: Keys of the user's own, kept in `as_dict` and in reports.
    """

    __slots__ = ("config", "extra", "name", "timeout", "topics", "uid")

    def __init__(
        self,
        name: Any,
        uid: str | None = None,
        config: dict[str, Any] | None = None,
        timeout: float | None = None,
        topics: list[str] | tuple[()] | None = (),
    ) -> None:
        self.name: Any = name
        self.uid: str = uid or str(uuid4())
        self.config: dict[str, Any] = config or {}
        self.timeout: float | None = timeout
        # Any other tuple is kept as it is, for `validate` to report.
        self.topics: list[str] | None = [] if topics == () else cast("list[str] | None", topics)
        self.extra: dict[str, Any] = {}

    @property
    def listen(self) -> Listen:
        """Which events are put into the queue of the task.

        Raises:
            TypeError: `topics` is neither None nor a list.
        """
        return Listen.get(self.topics)

    def new_task(self, data: Any, loop: Any = None) -> Any:
        """Run the task by itself, outside a workflow. For asyncio only, as in 1.x.

        Args:
            data: The argument of the task's coroutine function.
            loop: The event loop; None is the running one.

        Returns:
            A `TukioTask`; see `tukio.task.new_task`, also for the errors.
        """
        # Imported by name, because the model must not depend on the code that runs tasks. Only 1.x
        # asks a template for this.
        new_task = importlib.import_module("tukio.task.task").new_task
        return new_task(self.name, data=data, config=self.config, timeout=self.timeout, loop=loop)

    @classmethod
    def from_dict(cls, task_dict: Mapping[str, Any]) -> Self:
        """Return the template for a dict with the keys of `as_dict`; only `name` is needed.

        Raises:
            KeyError: There is no `name`.
        """
        task = cls(
            task_dict["name"],
            uid=task_dict.get("id"),
            config=deepcopy(task_dict.get("config")),
            timeout=task_dict.get("timeout"),
            topics=own_topics(task_dict.get("topics", [])),
        )
        task.extra.update(extra_keys(task_dict, TASK_KEYS))
        return task

    def as_dict(self) -> dict[str, Any]:
        """Return the dict form; changing it changes nothing here."""
        return self._as_dict(copied)

    def _as_dict(self, own: Callable[[Any], Any]) -> dict[str, Any]:
        return {
            "name": self.name,
            "id": self.uid,
            "config": own(self.config),
            "timeout": self.timeout,
            "topics": own_topics(self.topics),
            **own(self.extra),
        }

    def __str__(self) -> str:
        return f"<TaskTemplate name={self.name}, uid={self.uid}>"

    __repr__ = __str__


def own_topics(topics: Any) -> Any:
    """Return a copy of a list of topics; any other object is kept for `validate` to report."""
    return topics.copy() if isinstance(topics, list) else topics


def copied(value: Any) -> Any:
    """Return a deep copy of a value."""
    # A shortcut for the empty dict, which most values are.
    return deepcopy(value) if value or type(value) is not dict else {}


def extra_keys(document: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return a copy of the keys of a document that are the user's own."""
    return {key: deepcopy(value) for key, value in document.items() if key not in known}
