"""Tasks: their registration, their executions, and what asyncio sees of them."""

from __future__ import annotations

from ..errors import TukioTaskError, UnknownTaskName
from ..registry import TaskRegistry, register
from ..template import TaskTemplate
from .current import current_task
from .factory import TukioTask, tukio_factory
from .holder import TaskHolder
from .inbox import Inbox
from .join import JoinTask
from .parents import Parents
from .run import TaskRun
from .task import new_task
from .timeout import TimeoutHandle

__all__ = [
    "Inbox",
    "JoinTask",
    "Parents",
    "TaskHolder",
    "TaskRegistry",
    "TaskRun",
    "TaskTemplate",
    "TimeoutHandle",
    "TukioTask",
    "TukioTaskError",
    "UnknownTaskName",
    "current_task",
    "new_task",
    "register",
    "tukio_factory",
]
