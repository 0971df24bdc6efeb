"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._step.holder import TaskHolder

__all__ = ["TaskHolder"]
