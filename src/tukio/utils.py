"""Names that 1.x code imports from here, and its `TimeoutHandle`.

Source: 1.x `TimeoutHandle`. The engine keeps limits by the deadlines of scopes, not by this.
"""

from __future__ import annotations

from typing import Any

from ._model.errors import SkipTask
from ._model.state import FutureState
from ._model.task_template import Listen

__all__ = ["FutureState", "Listen", "SkipTask", "TimeoutHandle"]


class TimeoutHandle:
    """Calls `timeout()` of a workflow or a task when its time is up, unless it is done by then.

    Args:
        task: Has `timeout()`, `add_done_callback()` and `get_loop()`.
        timeout: Seconds, from `start()`.
    """

    __slots__ = ("handle", "task", "timeout")

    def __init__(self, task: Any, timeout: float) -> None:
        self.task: Any = task
        self.timeout: float = timeout
        self.handle: Any = None

    def start(self) -> None:
        """Let the time run from now on."""
        self.task.add_done_callback(self._end_task)
        self.handle = self.task.get_loop().call_later(self.timeout, self._timeout_task)

    def _timeout_task(self) -> None:
        self.handle = None
        self.task.timeout()

    def _end_task(self, _: Any) -> None:
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None
