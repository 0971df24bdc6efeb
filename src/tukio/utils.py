"""Names that users of 1.x import from here."""

from __future__ import annotations

from .errors import SkipTask
from .state import FutureState
from .task.timeout import TimeoutHandle
from .template import Listen

__all__ = ["FutureState", "Listen", "SkipTask", "TimeoutHandle"]
