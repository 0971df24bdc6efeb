"""Names that 1.x code imports from here."""

from __future__ import annotations

from ._engine.current import current_engine
from ._engine.engine import Engine
from ._engine.started import Started
from ._engine.statistics import Statistics

__all__ = ["Engine", "Started", "Statistics", "current_engine"]
