"""Names that 1.x code imports from here."""

from __future__ import annotations

from ._model.event import Event, EventSource

__all__ = ["Event", "EventSource"]
