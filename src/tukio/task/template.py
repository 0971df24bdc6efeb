"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._model.task_template import Listen, TaskTemplate

__all__ = ["Listen", "TaskTemplate"]
