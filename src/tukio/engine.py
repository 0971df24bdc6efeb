"""Names that 1.x code imports from here."""

from __future__ import annotations

from ._engine.engine import Engine

__all__ = ["Engine"]
