"""Names that 1.x code imports from here.

These are about tasks: their registration, their executions, and their asyncio tasks.
"""

from __future__ import annotations

from .._backends.asyncio.factory import tukio_factory
from .._backends.asyncio.new_task import new_task
from .._backends.asyncio.task import TukioTask
from .._events.queue import Inbox
from .._model.errors import TukioTaskError, UnknownTaskName
from .._model.registry import Registry, TaskRegistry, register
from .._model.task_template import TaskTemplate
from .._run.current import current_task
from .._run.task_run import TaskRun
from .._step.holder import TaskHolder
from .._step.parents import Parents
from .._tasks.join import JoinTask
from .._tasks.trigger import TriggerTask
from ..utils import TimeoutHandle

__all__ = [
    "Inbox",
    "JoinTask",
    "Parents",
    "Registry",
    "TaskHolder",
    "TaskRegistry",
    "TaskRun",
    "TaskTemplate",
    "TimeoutHandle",
    "TriggerTask",
    "TukioTask",
    "TukioTaskError",
    "UnknownTaskName",
    "current_task",
    "new_task",
    "register",
    "tukio_factory",
]
