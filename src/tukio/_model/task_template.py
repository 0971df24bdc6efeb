"""One task of a workflow, described: as an object and as data.

Owns:   what the template of a task holds, its dict form, and which events `topics` means.
Source: 1.x `TaskTemplate`; keys of the user's own are kept here, where 1.x dropped them.
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
    """Which events a workflow is triggered by, or a task gets into its queue.

    Attributes:
        everything: Events of any topic and of none (topics None).
        nothing: No event (topics []).
        topics: Those of the listed topics.
    """

    everything = "everything"
    nothing = "nothing"
    topics = "topics"

    @classmethod
    def get(cls, topics: list[str] | None) -> Listen:
        """Return what a `topics` field means.

        Raises:
            TypeError: It is neither None nor a list.
        """
        if topics is None:
            return cls.everything
        if not isinstance(topics, list):
            msg = f"'{topics}' is not a list"
            raise TypeError(msg)
        return cls.topics if topics else cls.nothing


class TaskTemplate:
    """One task of a workflow: which registered task it runs, and how.

    Args:
        name: Name of a registered task.
        uid: Id within the workflow; None makes one up.
        config: Handed to the task's holder class, a deep copy for each run; None is {}.
        timeout: Seconds a run of the task may take; None or 0 is no limit.
        topics: Topics whose events the task gets into its queue while it runs. None is every
            topic; left out, nothing.

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
        # Any other tuple is a fault to be.
        self.topics: list[str] | None = [] if topics == () else cast("list[str] | None", topics)
        self.extra: dict[str, Any] = {}

    @property
    def listen(self) -> Listen:
        """Which events the task gets into its queue.

        Raises:
            TypeError: `topics` is neither None nor a list.
        """
        return Listen.get(self.topics)

    def new_task(self, data: Any, loop: Any = None) -> Any:
        """Run the task by itself, outside a workflow. For asyncio only, as in 1.x.

        Args:
            data: What its coroutine is called with.
            loop: The event loop; None is the running one.

        Returns:
            A `TukioTask`; see `tukio.task.new_task`, also for the errors.
        """
        # By name: what runs tasks stands far above, and only 1.x asks a template for it.
        new_task = importlib.import_module("tukio.task.task").new_task
        return new_task(self.name, data=data, config=self.config, timeout=self.timeout, loop=loop)

    @classmethod
    def from_dict(cls, task_dict: Mapping[str, Any]) -> Self:
        """Return the task that a dict with the keys of `as_dict` describes; only `name` is needed.

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
    """Return a copy of a list of topics; anything else (None, or a fault to be) as it is."""
    return topics.copy() if isinstance(topics, list) else topics


def copied(value: Any) -> Any:
    """Return a copy at every depth; mostly there is nothing in it."""
    return deepcopy(value) if value or type(value) is not dict else {}


def extra_keys(document: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return a copy of the keys of a document that are the user's own."""
    return {key: deepcopy(value) for key, value in document.items() if key not in known}
