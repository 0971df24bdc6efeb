"""The registration of tasks, where users of 1.x import it from."""

from __future__ import annotations

from ..errors import UnknownTaskName
from ..registry import TaskRegistry, register
from .factory import new_task
from .timeout import TimeoutHandle

__all__ = ["TaskRegistry", "TimeoutHandle", "UnknownTaskName", "new_task", "register"]
