"""Names that 1.x code imports from here."""

from __future__ import annotations

from ._model.dag import DAG
from ._model.errors import DAGValidationError

__all__ = ["DAG", "DAGValidationError"]
