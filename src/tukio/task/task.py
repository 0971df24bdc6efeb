"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._backends.asyncio.new_task import new_task
from .._model.errors import UnknownTaskName
from .._model.registry import TaskRegistry, register
from ..utils import TimeoutHandle

__all__ = ["TaskRegistry", "TimeoutHandle", "UnknownTaskName", "new_task", "register"]
