"""Names that 1.x code imports from here. `TimeoutHandle` is defined here, too.

Source: 1.x `TimeoutHandle`. The engine does not use it: time limits are deadlines of scopes.
"""

from __future__ import annotations

from typing import Any

from ._model.errors import SkipTask
from ._model.listen import Listen
from ._model.state import FutureState

__all__ = ["FutureState", "Listen", "SkipTask", "TimeoutHandle"]


class TimeoutHandle:
    """Calls `timeout()` of a workflow or a task when its time is up, unless it is done by then.

    Args:
        task: An object with `timeout()`, `add_done_callback()` and `get_loop()`.
        timeout: The time, in seconds from `start()`.

    Attributes:
        task: The same object.
        timeout: The same time.
        handle: The handle of the timer; None exactly while no timer is set.
    """

    __slots__ = ("handle", "task", "timeout")

    def __init__(self, task: Any, timeout: float) -> None:
        self.task: Any = task
        self.timeout: float = timeout
        self.handle: Any = None

    def start(self) -> None:
        """Set the timer."""
        self.task.add_done_callback(self._end_task)
        self.handle = self.task.get_loop().call_later(self.timeout, self._timeout_task)

    def _timeout_task(self) -> None:
        """Called by the timer."""
        self.handle = None
        self.task.timeout()

    def _end_task(self, _: Any) -> None:
        """Called when the task is done: cancel the timer."""
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
