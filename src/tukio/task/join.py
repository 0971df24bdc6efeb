"""Names that 1.x code imports from here."""

from __future__ import annotations

from .._tasks.join import JoinTask

__all__ = ["JoinTask"]
