"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._backends.asyncio.factory import tukio_factory
from .._backends.asyncio.task import TukioTask
from .._model.errors import TukioTaskError
from .._model.state import TaskExecState

__all__ = ["TaskExecState", "TukioTask", "TukioTaskError", "tukio_factory"]
