"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._model.listen import Listen
from .._model.task_template import TaskTemplate

__all__ = ["Listen", "TaskTemplate"]
