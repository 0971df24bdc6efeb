"""Task templates, where users of 1.x import them from."""

from __future__ import annotations

from .._model.task_template import Listen, TaskTemplate

__all__ = ["Listen", "TaskTemplate"]
