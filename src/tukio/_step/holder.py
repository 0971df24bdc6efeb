"""Task holders: tasks written as classes.

A holder class is registered together with the name of its coroutine method. For each execution an
instance is made with the task's config, then the method is called with the event:

    @register('my-holder', 'execute')
    class MyHolder(TaskHolder):
        async def execute(self, event):
            ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from .._model.changes import exact
from .._model.guard import attempt
from .._model.logs import Log

if TYPE_CHECKING:
    from .._events.queue import Inbox

log: Log = Log("tukio.run")


class TaskHolder:
    """A base class for task holders; optional, as any class with `__init__(config)` will do.

    Args:
        config: The task's config: a copy, for this execution only.

    Attributes:
        config: The task's config.
        queue: The events that the task receives while it runs; set before the coroutine method is
            called.
    """

    __slots__ = ("_uid", "config", "queue")

    TASK_NAME: ClassVar[Any] = None
    """The name that the class is registered under."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config
        self.queue: Inbox | None = None
        self._uid: str | None = None

    @property
    def uid(self) -> str:
        """The id of this execution; assign to it in `__init__` to choose another."""
        if self._uid is None:
            self._uid = str(uuid4())
        return self._uid

    @uid.setter
    def uid(self, uid: str) -> None:
        self._uid = uid

    def report(self) -> Any:
        """Return data for the workflow's report: `reporting` of this task; None by default.

        Called whenever a report is taken, at any time of the execution.
        """

    def teardown(self) -> Any:
        """Clean up after the execution was cancelled or timed out; sync or async.

        Called once, after the coroutine has unwound, shielded from cancellation and within the
        engine's `cleanup_timeout`. After a timeout, the result is the task's output; None passes
        the inputs on.
        """


class Recorded:
    """Stands for the holder of a task that was over when its run was rescued.

    Args:
        reporting: The result of the holder's `report()`, from the report.
    """

    def __init__(self, reporting: Any) -> None:
        self._reporting: Any = reporting

    def report(self) -> Any:
        """Return the data that the holder had reported."""
        return self._reporting


def execution_id(holder: Any) -> str:
    """Return the id of an execution: the `uid` of its holder, or else a new one.

    Args:
        holder: The holder, of any class; None for a task that is a function.
    """
    uid, error = attempt(getattr, holder, "uid", None)
    if error is not None:
        log.error("a %s has no id: its `uid` failed", type(holder).__name__, exc_info=error)
    return str(exact(uid)) if isinstance(uid, str) else str(uuid4())
